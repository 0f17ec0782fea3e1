#pragma once

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "liveness.h"
#include "mugato/dist/group.h"

namespace mugato::dist {

using StorePtr = c10::intrusive_ptr<c10d::Store>;
using ProcessGroupPtr = c10::intrusive_ptr<c10d::ProcessGroup>;

struct Group::Impl {
  Launch launch;
  int64_t local_rank = 0;
  std::string backend;
  StorePtr store;
  ProcessGroupPtr processes;
  std::unique_ptr<Liveness> liveness;
};

std::chrono::milliseconds milliseconds(double seconds);

// The address by which this machine reaches the place where the processes meet; empty where nothing can be said.
std::string address_towards(const std::string& host, uint16_t port);

// Adds the backend to the group; for tensors of the CPU, and of one GPU. Throws Error in a build without it.
void add_gloo(const ProcessGroupPtr& processes, const StorePtr& store, const std::string& address,
              std::chrono::milliseconds timeout);
void add_nccl(const ProcessGroupPtr& processes, const StorePtr& store, at::Device device, std::chrono::milliseconds timeout);

}  // namespace mugato::dist
