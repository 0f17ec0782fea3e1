// The training loop: next, forward, backward, reduce, clip, step, log, save.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "mugato/dist/reducer.h"
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
  int64_t most_skipped = 10;     // steps in a row that are not finite, which end the run
  bool bf16 = false;             // autocast; slower than float32 on most CPUs
};
void declare(KeyTable& keys, const std::string& prefix, TrainOptions& options);

// What happened in a step, over all processes, for sinks and the console.
struct StepReport {
  int64_t step = 0, num_steps = 0;    // updates done, of how many
  double loss = 0.0;                  // weighted mean over targets, nats
  std::vector<double> domain_loss;    // mean per domain; NaN where a domain has no target
  std::vector<DomainCounts> counts;   // of this step, per domain
  std::vector<std::string> problems;  // of the samples that were skipped: see GlobalStep
  double learning_rate = 0.0, gradient_norm = 0.0;
  int64_t slots = 0, tokens = 0, targets = 0;
  double seconds = 0.0;
  double data_seconds = 0.0;     // of them, waiting for the stream
  double exposed_seconds = 0.0;  // of them, exchanging gradients while nothing was computed
  std::string skipped;           // why the weights stayed as they were, and of what data; empty: they did not
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
    dist::Group* group = nullptr;                                         // the processes that train together; null: one
    dist::ReducerOptions reducer = {};                                    // how their gradients travel
    std::function<void(const StepReport&)> on_step = {};                  // the console; of rank 0 alone
    std::function<std::map<std::string, double>(int64_t)> evaluate = {};  // metrics by name; "loss" decides which is best
  };
  Trainer(TrainOptions options, OptimizerOptions optimizer, uint64_t seed, at::Device device, Parts parts);

  // Trains up to options.steps, or to the step at which `stop` was asked for in any of the processes, and saves there. A step
  // whose loss or gradient is not finite leaves the weights as they are; after options.most_skipped of them in a row throws
  // Error (kFailure) that names their data.
  void run(const StopSignal& stop);

  TrainState& state() { return state_; }

 private:
  StepReport train_step(const StopSignal& stop);
  void backward(const GlobalStep& step, double total, StepReport& report, std::vector<double>& sums);
  void add_over_ranks(std::vector<DomainCounts>& counts, std::vector<std::string>& problems);
  bool add_over_ranks(StepReport& report, std::vector<double>& sums, bool stop);
  std::string not_finite(const StepReport& report) const;
  void skip(const StepReport& report);
  void log(const StepReport& report);
  bool evaluate();
  void save(bool is_best);

  TrainOptions options_;
  OptimizerOptions optimizer_options_;
  uint64_t seed_;
  at::Device device_;
  Parts parts_;
  dist::Group alone_;
  dist::Group& group_;
  dist::GradientReducer reducer_;
  TrainState state_;
  bool stopping_ = false;         // agreed on by all processes
  int64_t skipped_in_a_row_ = 0;  // steps
  std::chrono::steady_clock::time_point last_flush_ = {};
};

}  // namespace mugato
