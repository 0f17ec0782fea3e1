// The training loop: next, forward, backward, reduce, clip, step, log, save.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "mugato/nn/objective.h"
#include "mugato/seq/batch_stream.h"
#include "mugato/train/checkpoint.h"
#include "mugato/train/metrics.h"
#include "mugato/train/signals.h"

namespace mugato {

struct TrainOptions {
  int64_t steps = 1000;
  int64_t rows = 8;        // L: rows of a global step
  int64_t micro_rows = 0;  // rows of a micro-batch; 0: all
  int64_t context = 1024;  // S: slots of a row
  int64_t log_every = 1;
  int64_t evaluate_every = 500;  // 0: never
  int64_t save_every = 500;      // 0: only at the end
  int64_t keep = 2;              // newest checkpoints to keep, beside the best
  int64_t workers = 1;           // loader threads
  bool bf16 = false;             // autocast; slower than float32 on most CPUs
};
void declare(KeyTable& keys, const std::string& prefix, TrainOptions& options);

// What happened in a step, for sinks and the console.
struct StepReport {
  int64_t step = 0, num_steps = 0;    // updates done, of how many
  double loss = 0.0;                  // weighted mean over targets, nats
  std::vector<double> domain_loss;    // mean per domain; NaN where a domain has no target
  std::vector<DomainCounts> counts;   // of this step, per domain
  std::vector<std::string> problems;  // of the samples that were skipped: see GlobalStep
  double learning_rate = 0.0, gradient_norm = 0.0;
  int64_t slots = 0, tokens = 0, targets = 0;
  double seconds = 0.0;
  double data_seconds = 0.0;  // of them, waiting for the stream
};

class Trainer {
 public:
  struct Parts {
    Objective& objective;
    AdamW& optimizer;
    BatchStream& stream;
    CheckpointStore& checkpoints;
    MetricSink& metrics;
    std::vector<double> domain_weights;                                   // loss weight per domain
    std::function<void(const StepReport&)> on_step = {};                  // the console
    std::function<std::map<std::string, double>(int64_t)> evaluate = {};  // metrics by name; "loss" decides which is best
  };
  Trainer(TrainOptions options, OptimizerOptions optimizer, uint64_t seed, at::Device device, Parts parts);

  // Trains up to options.steps, or to the step at which `stop` was asked for, and saves there. Throws Error (kFailure) when
  // the loss or its gradient is not finite; the weights are then those of the step before.
  void run(const StopSignal& stop);

  TrainState& state() { return state_; }

 private:
  StepReport train_step();
  void log(const StepReport& report);
  bool evaluate();
  void save(bool is_best);

  TrainOptions options_;
  OptimizerOptions optimizer_options_;
  uint64_t seed_;
  at::Device device_;
  Parts parts_;
  TrainState state_;
  std::chrono::steady_clock::time_point last_flush_ = {};
};

}  // namespace mugato
