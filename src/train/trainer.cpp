#include "mugato/train/trainer.h"

#include <chrono>
#include <numeric>

#include "mugato/core/error.h"
#include "mugato/core/random.h"
#include "mugato/core/text.h"
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

dist::GradientReducer::NamedParameters named_parameters(const torch::nn::Module& module) {
  dist::GradientReducer::NamedParameters all;
  for (const auto& item : module.named_parameters()) all.emplace_back(item.key(), item.value());
  return all;
}

// AdamW drops gradients rather than zeroing them.
dist::ReducerOptions with_views(dist::ReducerOptions options) {
  options.gradients_are_views = true;
  return options;
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
  keys.add(prefix + "most_skipped", &options.most_skipped,
           "steps in a row that may be skipped because their loss or gradient is not finite", at_least(1));
  keys.add(prefix + "bf16", &options.bf16, "compute in bfloat16 (slower than float32 on most CPUs)");
}

Trainer::Trainer(TrainOptions options, OptimizerOptions optimizer, uint64_t seed, at::Device device, Parts parts)
    : options_(std::move(options)),
      optimizer_options_(std::move(optimizer)),
      seed_(seed),
      device_(device),
      parts_(std::move(parts)),
      group_(parts_.group ? *parts_.group : alone_),
      reducer_(named_parameters(parts_.objective.module()), group_, with_views(parts_.reducer)) {}

void Trainer::run(const StopSignal& stop) {
  const auto due = [&](int64_t every) { return every > 0 && state_.step % every == 0; };
  parts_.objective.module().train();
  bool saved = state_.step > 0;  // what a checkpoint holds already; stopped before the first step, the start is saved
  const auto stopped = [&] { return group_.size() == 1 ? stop.requested() : stopping_; };
  while (state_.step < options_.steps && !stopped()) {
    const auto report = train_step(stop);
    if (parts_.on_step && group_.rank() == 0) parts_.on_step(report);
    const bool is_best = due(options_.evaluate_every) && evaluate();
    saved = due(options_.save_every) || is_best;
    if (saved) save(is_best);
  }
  if (!saved) save(false);
  parts_.metrics.flush();
  group_.barrier();  // nobody leaves while others still need it
}

StepReport Trainer::train_step(const StopSignal& stop) {
  const auto begin = std::chrono::steady_clock::now();
  const auto doing = "step " + std::to_string(state_.step + 1);
  group_.doing(doing + ", waiting for data");
  const auto step = parts_.stream.next();
  StepReport report{.step = state_.step + 1,
                    .num_steps = options_.steps,
                    .counts = step.counts,
                    .problems = step.problems,
                    .data_seconds = seconds_since(begin)};
  group_.doing(doing);
  add_over_ranks(report.counts, report.problems);
  const double total = normaliser(report.counts, parts_.domain_weights);
  std::vector<double> sums(parts_.domain_weights.size(), 0.0);
  backward(step, total, report, sums);
  stopping_ = add_over_ranks(report, sums, stop.requested());

  for (size_t d = 0; d < sums.size(); ++d) {
    report.domain_loss.push_back(sums[d] / static_cast<double>(report.counts[d].targets));
    if (total > 0.0) report.loss += parts_.domain_weights[d] * sums[d] / total;
  }
  report.gradient_norm = parts_.optimizer.clip_gradients();
  report.learning_rate = learning_rate(optimizer_options_, state_.step, options_.steps);
  report.skipped = not_finite(report);
  if (report.skipped.empty()) parts_.optimizer.step(report.learning_rate);
  skip(report);
  ++state_.step;
  report.seconds = seconds_since(begin);
  log(report);
  return report;
}

// Forward and backward of this process's micro-batches; the last backward pass exchanges the gradients.
void Trainer::backward(const GlobalStep& step, double total, StepReport& report, std::vector<double>& sums) {
  parts_.optimizer.zero_grad();
  const auto& batches = step.micro_batches;
  const auto first = group_.rank() * static_cast<int64_t>(batches.size());  // all processes have as many
  size_t last = batches.size();
  for (size_t m = 0; m < batches.size(); ++m)
    if (batches[m].layout.num_targets() > 0) last = m;
  for (size_t m = 0; m < batches.size(); ++m) {
    at::manual_seed(hash_key(seed_, state_.step, first + static_cast<int64_t>(m)));  // dropout: by seed, step and place
    const auto batch = batches[m].to(device_);
    report.slots += batch.layout.rows * batch.layout.capacity;
    report.tokens += batch.layout.num_tokens();
    report.targets += batch.layout.num_targets();
    if (batch.layout.num_targets() == 0) continue;
    const Bf16Scope autocast(options_.bf16, device_.type());
    const auto terms = parts_.objective.loss(batch, parts_.domain_weights);
    if (total > 0.0 && m == last) reducer_.backward(terms.weighted_sum / total);
    else if (total > 0.0) (terms.weighted_sum / total).backward();
    for (size_t d = 0; d < sums.size(); ++d) sums[d] += terms.sums[d];
  }
  if (total > 0.0 && last == batches.size()) reducer_.backward({});
  report.exposed_seconds = reducer_.exposed_seconds();
}

// What is not finite, and the domains that made it; nothing when all is well. All processes see the same sums.
std::string Trainer::not_finite(const StepReport& report) const {
  const bool is_loss = !std::isfinite(report.loss);
  if (!is_loss && std::isfinite(report.gradient_norm)) return {};
  const auto& names = parts_.stream.domain_names();
  std::vector<std::string> makers;
  for (size_t d = 0; d < names.size(); ++d)
    if (report.counts[d].targets > 0 && (!is_loss || !std::isfinite(report.domain_loss[d]))) makers.push_back(names[d]);
  return std::string("the ") + (is_loss ? "loss" : "gradient") + " of " + comma_separated(makers) + " is not finite";
}

// Counts the steps that were skipped. Thrown before any update, so that no checkpoint ever holds weights that are not finite.
void Trainer::skip(const StepReport& report) {
  if (report.skipped.empty()) {
    skipped_in_a_row_ = 0;
    return;
  }
  ++state_.skipped_steps;
  if (++skipped_in_a_row_ < options_.most_skipped) return;
  const auto before = skipped_in_a_row_ - 1;
  throw Error(report.skipped + " at step " + std::to_string(report.step) +
                  (before > 0 ? ", nor was it in the " + std::to_string(before) + " steps before it" : ""),
              "lower optim.learning_rate or optim.clip, or look at these data with mugato data lint; then resume",
              Error::Kind::kFailure);
}

void Trainer::add_over_ranks(std::vector<DomainCounts>& counts, std::vector<std::string>& problems) {
  if (group_.size() == 1) return;
  std::vector<int64_t> all;
  for (const auto& c : counts) all.insert(all.end(), {c.samples, c.tokens, c.targets, c.clipped, c.skipped, c.prompted});
  group_.all_reduce(at::from_blob(all.data(), {static_cast<int64_t>(all.size())}, at::kLong));
  auto next = all.begin();
  for (auto& c : counts)
    for (auto* count : {&c.samples, &c.tokens, &c.targets, &c.clipped, &c.skipped, &c.prompted}) *count = *next++;
  for (size_t d = 0; d < counts.size(); ++d) {
    if (counts[d].skipped == 0) continue;
    for (const auto& problem : group_.all_gather(problems[d]))
      if (problems[d].empty()) problems[d] = problem;
  }
}

// What is known after the backward pass; whether one of the processes is asked to stop.
bool Trainer::add_over_ranks(StepReport& report, std::vector<double>& sums, bool stop) {
  if (group_.size() == 1) return stop;
  auto all = sums;
  for (const int64_t count : {report.slots, report.tokens, report.targets}) all.push_back(static_cast<double>(count));
  all.push_back(stop ? 1.0 : 0.0);
  group_.all_reduce(at::from_blob(all.data(), {static_cast<int64_t>(all.size())}, at::kDouble));
  const auto rest = all.begin() + static_cast<std::ptrdiff_t>(sums.size());
  std::copy(all.begin(), rest, sums.begin());
  auto next = rest;
  for (auto* count : {&report.slots, &report.tokens, &report.targets}) *count = static_cast<int64_t>(*next++);
  return *next > 0.0;
}

void Trainer::log(const StepReport& report) {
  const auto& names = parts_.stream.domain_names();
  for (size_t d = 0; d < names.size(); ++d) state_.counts[names[d]] += report.counts[d];
  if (report.step % options_.log_every != 0 || group_.rank() != 0) return;
  const auto write = [&](const std::string& name, double value) { parts_.metrics.write(report.step, name, value); };
  write("train/loss", report.loss);
  write("train/learning_rate", report.learning_rate);
  write("train/gradient_norm", report.gradient_norm);
  write("train/tokens_per_second", static_cast<double>(report.slots) / report.seconds);
  write("train/data_wait", report.data_seconds / report.seconds);
  if (state_.skipped_steps > 0) write("train/skipped_steps", static_cast<double>(state_.skipped_steps));
  if (group_.size() > 1) write("train/exposed_communication", report.exposed_seconds / report.seconds);
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
  group_.doing("evaluating step " + std::to_string(state_.step));
  parts_.objective.module().eval();
  const auto metrics = parts_.evaluate(state_.step);
  parts_.objective.module().train();
  if (group_.rank() == 0)
    for (const auto& [name, value] : metrics) parts_.metrics.write(state_.step, "eval/" + name, value);
  const auto loss = metrics.find("loss");
  if (loss == metrics.end() || !(loss->second < state_.best_score)) return false;
  state_.best_score = loss->second;
  return true;
}

void Trainer::save(bool is_best) {
  group_.doing("saving step " + std::to_string(state_.step));
  state_.data = parts_.stream.merged(group_.all_gather(parts_.stream.state()));
  state_.ranks = group_.size();
  if (group_.rank() != 0) return;
  parts_.metrics.flush();
  parts_.checkpoints.save(parts_.objective.module(), parts_.optimizer, state_, is_best);
}

}  // namespace mugato
