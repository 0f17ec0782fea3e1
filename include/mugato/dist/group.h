// The processes of a job as one group: collectives over gloo (CPU) and NCCL (GPUs), chosen at run time.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "mugato/core/error.h"
#include "mugato/core/keys.h"
#include "mugato/dist/launch.h"

namespace mugato::dist {

struct GroupOptions {
  LaunchOptions launch;
  std::string backend = "auto";  // of gradients: gloo, nccl; auto: by the device
  double timeout = 600.0;        // seconds after which a collective that does not end is an error
  double join_timeout = 300.0;   // seconds that all processes have to come in
};
void declare(KeyTable& keys, const std::string& prefix, GroupOptions& options);

// Another process is at fault, and the group is of no use any more. Never the first cause: that one names itself.
class PeerLost : public Error {
 public:
  PeerLost(const std::string& message, const std::string& hint) : Error(message, hint, Kind::kFailure) {}
};

// "cpu", "cuda" or "auto", a GPU where there is one: local rank modulo the number of GPUs. Throws Error for cuda without one.
at::Device pick_device(const std::string& name, int64_t local_rank = 0);

// Every process has to call the same collectives in the same order. When one of them fails, by a process that died, hangs or
// cannot be reached, PeerLost names the process and what it did last; the group is of no use then.
class Group {
 public:
  enum class Op { kSum, kMax, kMin };

  Group();  // of one process: its collectives do nothing
  ~Group();
  Group(Group&&) noexcept;
  Group& operator=(Group&&) noexcept;

  // Meets the others; `device` as for pick_device. Throws Error when some do not come in time, and for a backend that this
  // build, or this machine, has not.
  static Group join(const Launch& launch, const GroupOptions& options, const std::string& device = "cpu");

  int64_t rank() const;
  int64_t size() const;
  int64_t local_rank() const;
  at::Device device() const;
  std::string text() const;  // for people: who and how many, where they met, device and backend

  // In place, for tensors of the CPU, and of device() where NCCL is the backend.
  void all_reduce(const at::Tensor& tensor, Op op = Op::kSum);
  void broadcast(const at::Tensor& tensor, int64_t root = 0);
  void barrier();

  // Bytes of every process, by rank; of any length each.
  std::vector<std::string> all_gather(const std::string& bytes);

  // What this process does now, for what the others say when it stops: "step 17, waiting for data".
  void doing(const std::string& what);

  // Tells the others why this process ends, so that they name the cause and not only its going.
  void fail(const std::string& why) noexcept;

  // Runs `action`; when the group breaks in it, throws as the collectives do.
  template <class Action>
  void guarded(const char* what, Action&& action) {
    try {
      action();
    } catch (const PeerLost&) {
      throw;
    } catch (const std::exception& failure) {
      rethrow(what, failure);
    }
  }

  struct Impl;
  Impl* impl() const { return impl_.get(); }  // null for a group of one; see src/dist/group_internal.h

 private:
  [[noreturn]] void rethrow(const char* what, const std::exception& failure);

  std::unique_ptr<Impl> impl_;
  at::Device device_ = at::kCPU;
};

}  // namespace mugato::dist
