// Gradients added up over the processes of a group while the backward pass still runs.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mugato/core/keys.h"
#include "mugato/dist/group.h"

namespace mugato::dist {

struct ReducerOptions {
  double bucket_mib = 25.0;          // gradients that travel together
  std::string compression = "none";  // none, bf16: half the bytes, and gradients rounded to 8 bits of mantissa
  // Gradients are views of what travels, which saves their memory once; torch::optim's zero_grad() refuses such.
  bool gradients_are_views = false;
};
void declare(KeyTable& keys, const std::string& prefix, ReducerOptions& options);

// The gradients of a step are the sum over all processes and their micro-batches:
//
//   for (size_t m = 0; m < num_micro_batches; ++m) {
//     const auto loss = ...;                     // divided by the global count of targets already
//     if (m + 1 < num_micro_batches) loss.backward();
//     else reducer.backward(loss);
//   }
//
// Processes may use different parameters in a step; one that no process used keeps its gradient undefined. Buckets are the
// same at every step, so that a run that is resumed adds in the order of one that was not.
class GradientReducer {
 public:
  using NamedParameters = std::vector<std::pair<std::string, at::Tensor>>;

  // Throws Error unless all processes have the same parameters; the values of rank 0 are copied to the others. A group of one
  // reduces nothing. `group` has to outlive this.
  GradientReducer(NamedParameters parameters, Group& group, ReducerOptions options = {});
  ~GradientReducer();

  // The step's last backward pass, of every process. An undefined loss stands for a process that has nothing to learn from.
  void backward(const at::Tensor& loss);

  // Of the last backward(): seconds between the last gradient's making and the end of the exchange, which computing does not
  // hide.
  double exposed_seconds() const { return exposed_seconds_; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;  // null for a group of one
  double exposed_seconds_ = 0.0;
};

}  // namespace mugato::dist
