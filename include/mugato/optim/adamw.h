// AdamW over named parameters, weight decay on matrices only (paper appendix D).
#pragma once

#include <torch/nn/module.h>

#include <map>
#include <string>
#include <vector>

#include "mugato/core/keys.h"

namespace mugato {

struct OptimizerOptions {
  double learning_rate = 1e-3;  // peak
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double weight_decay = 0.1;        // of parameters with two axes or more; norms and biases are not decayed
  double clip = 1.0;                // largest norm of the whole gradient; 0: no clipping
  std::string schedule = "cosine";  // cosine, constant
  int64_t warmup = 100;             // steps from warmup_start to the peak, linear
  double warmup_start = 1e-7;
  double final_ratio = 0.1;  // the cosine ends at this share of the peak
  int64_t decay_steps = 0;   // where the cosine ends; 0: train.steps
};
void declare(KeyTable& keys, const std::string& prefix, OptimizerOptions& options);

// The learning rate of the step-th update, step from 0: the first is one step above warmup_start, update warmup - 1 is at the
// peak.
double learning_rate(const OptimizerOptions& options, int64_t step, int64_t num_steps);

class AdamW {
 public:
  AdamW(torch::nn::Module& module, OptimizerOptions options);

  void zero_grad();

  // Scales the gradients so that the norm of all of them is at most options.clip; returns the norm before.
  double clip_gradients();

  // One update. Parameters without a gradient stay as they are.
  void step(double learning_rate);

  // "NAME.exp_avg", "NAME.exp_avg_sq" and "NAME.step", sharing memory with the optimizer.
  std::map<std::string, at::Tensor> state() const;

  // Throws Error that names what is missing, of another shape or of no parameter, and then changes nothing.
  void load_state(const std::map<std::string, at::Tensor>& state);

 private:
  struct Slot {
    std::string name;
    at::Tensor parameter, exp_avg, exp_avg_sq, step;
  };
  OptimizerOptions options_;
  std::vector<Slot> slots_;
};

}  // namespace mugato
