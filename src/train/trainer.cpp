#include "mugato/train/trainer.h"

#include <chrono>
#include <numeric>

#include "mugato/core/error.h"
#include "mugato/core/random.h"
#include "mugato/nn/bf16_scope.h"

namespace mugato {
namespace {

constexpr double kSecondsBetweenFlushes = 1.0;  // who watches the metrics sees them about as they come

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// sum_d weight_d * count_d: what the weighted sum of losses is divided by, once.
double normaliser(const std::vector<DomainCounts>& counts, const std::vector<double>& weights) {
  double total = 0.0;
  for (size_t d = 0; d < counts.size(); ++d) total += weights[d] * static_cast<double>(counts[d].targets);
  return total;
}

// Thrown before the update, so that no checkpoint ever holds the weights that it would make.
[[noreturn]] void throw_not_finite(const std::string& what, int64_t step) {
  throw Error(what + " is not finite at step " + std::to_string(step),
              "lower optim.learning_rate or optim.clip, and resume from the last checkpoint", Error::Kind::kFailure);
}

}  // namespace

void declare(KeyTable& keys, const std::string& prefix, TrainOptions& options) {
  keys.add(prefix + "steps", &options.steps, "updates in all", at_least(1));
  keys.add(prefix + "rows", &options.rows, "rows of a global step, over all ranks", at_least(1));
  keys.add(prefix + "micro_rows", &options.micro_rows, "rows that go through the model at once, by memory; 0: all",
           at_least(0));
  keys.add(prefix + "context", &options.context, "slots of a row: the longest document", range(8, 1 << 20));
  keys.add(prefix + "log_every", &options.log_every, "steps between metrics", at_least(1));
  keys.add(prefix + "evaluate_every", &options.evaluate_every, "steps between evaluations on held-out data; 0: never",
           at_least(0));
  keys.add(prefix + "save_every", &options.save_every, "steps between checkpoints; 0: only at the end", at_least(0));
  keys.add(prefix + "keep", &options.keep, "newest checkpoints to keep, beside the best", at_least(1));
  keys.add(prefix + "workers", &options.workers, "threads that make rows of data", range(1, 256));
  keys.add(prefix + "bf16", &options.bf16, "compute in bfloat16 (slower than float32 on most CPUs)");
}

Trainer::Trainer(TrainOptions options, OptimizerOptions optimizer, uint64_t seed, at::Device device, Parts parts)
    : options_(std::move(options)),
      optimizer_options_(std::move(optimizer)),
      seed_(seed),
      device_(device),
      parts_(std::move(parts)) {}

void Trainer::run(const StopSignal& stop) {
  const auto due = [&](int64_t every) { return every > 0 && state_.step % every == 0; };
  parts_.objective.module().train();
  bool saved = state_.step > 0;  // what a checkpoint holds already; stopped before the first step, the start is saved
  while (state_.step < options_.steps && !stop.requested()) {
    const auto report = train_step();
    if (parts_.on_step) parts_.on_step(report);
    const bool is_best = due(options_.evaluate_every) && evaluate();
    saved = due(options_.save_every) || is_best;
    if (saved) save(is_best);
  }
  if (!saved) save(false);
  parts_.metrics.flush();
}

StepReport Trainer::train_step() {
  const auto begin = std::chrono::steady_clock::now();
  const auto step = parts_.stream.next();
  const double data_seconds = seconds_since(begin);
  const double total = normaliser(step.counts, parts_.domain_weights);
  StepReport report{.step = state_.step + 1,
                    .num_steps = options_.steps,
                    .counts = step.counts,
                    .problems = step.problems,
                    .data_seconds = data_seconds};
  std::vector<double> sums(parts_.domain_weights.size(), 0.0);

  parts_.optimizer.zero_grad();
  for (size_t m = 0; m < step.micro_batches.size(); ++m) {
    at::manual_seed(hash_key(seed_, state_.step, m));  // dropout: a function of seed, step and place
    const auto batch = step.micro_batches[m].to(device_);
    report.slots += batch.layout.rows * batch.layout.capacity;
    report.tokens += batch.layout.num_tokens();
    report.targets += batch.layout.num_targets();
    if (batch.layout.num_targets() == 0) continue;
    const Bf16Scope autocast(options_.bf16, device_.type());
    const auto terms = parts_.objective.loss(batch, parts_.domain_weights);
    if (total > 0.0) (terms.weighted_sum / total).backward();
    for (size_t d = 0; d < sums.size(); ++d) sums[d] += terms.sums[d];
  }

  for (size_t d = 0; d < sums.size(); ++d) {
    report.domain_loss.push_back(sums[d] / static_cast<double>(step.counts[d].targets));
    if (total > 0.0) report.loss += parts_.domain_weights[d] * sums[d] / total;
  }
  if (!std::isfinite(report.loss)) throw_not_finite("the loss", report.step);
  report.gradient_norm = parts_.optimizer.clip_gradients();
  if (!std::isfinite(report.gradient_norm)) throw_not_finite("the gradient", report.step);
  report.learning_rate = learning_rate(optimizer_options_, state_.step, options_.steps);
  parts_.optimizer.step(report.learning_rate);
  ++state_.step;
  report.seconds = seconds_since(begin);
  log(report);
  return report;
}

void Trainer::log(const StepReport& report) {
  const auto& names = parts_.stream.domain_names();
  for (size_t d = 0; d < names.size(); ++d) state_.counts[names[d]] += report.counts[d];
  if (report.step % options_.log_every != 0) return;
  const auto write = [&](const std::string& name, double value) { parts_.metrics.write(report.step, name, value); };
  write("train/loss", report.loss);
  write("train/learning_rate", report.learning_rate);
  write("train/gradient_norm", report.gradient_norm);
  write("train/tokens_per_second", static_cast<double>(report.slots) / report.seconds);
  write("train/data_wait", report.data_seconds / report.seconds);
  write("train/useful_tokens", static_cast<double>(report.tokens) / static_cast<double>(report.slots));
  for (size_t d = 0; d < names.size(); ++d) {
    if (report.counts[d].targets > 0) write("train/loss/" + names[d], report.domain_loss[d]);
    const auto& sum = state_.counts[names[d]];
    const auto write_sum = [&](const char* name, int64_t count) {
      write("data/" + std::string(name) + "/" + names[d], static_cast<double>(count));
    };
    write_sum("samples", sum.samples);
    write_sum("tokens", sum.tokens);
    write_sum("targets", sum.targets);
    if (sum.clipped > 0) write_sum("clipped", sum.clipped);
    if (sum.prompted > 0) write_sum("prompted", sum.prompted);
    if (sum.skipped > 0) write_sum("skipped", sum.skipped);
  }
  if (seconds_since(last_flush_) < kSecondsBetweenFlushes) return;
  parts_.metrics.flush();
  last_flush_ = std::chrono::steady_clock::now();
}

// Whether this is the best evaluation so far.
bool Trainer::evaluate() {
  if (!parts_.evaluate) return false;
  parts_.objective.module().eval();
  const auto metrics = parts_.evaluate(state_.step);
  parts_.objective.module().train();
  for (const auto& [name, value] : metrics) parts_.metrics.write(state_.step, "eval/" + name, value);
  const auto loss = metrics.find("loss");
  if (loss == metrics.end() || !(loss->second < state_.best_score)) return false;
  state_.best_score = loss->second;
  return true;
}

void Trainer::save(bool is_best) {
  state_.data = parts_.stream.state();
  parts_.metrics.flush();
  parts_.checkpoints.save(parts_.objective.module(), parts_.optimizer, state_, is_best);
}

}  // namespace mugato
