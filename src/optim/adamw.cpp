#include "mugato/optim/adamw.h"

#include <numbers>

#include "mugato/core/error.h"

namespace mugato {

namespace {

// At one, nothing would ever be learned of the gradients, and the correction of their mean would divide by zero.
KeyCheck below_one() {
  return satisfies<double>("at least 0 and below 1", [](double beta) { return beta >= 0.0 && beta < 1.0; });
}

}  // namespace

void declare(KeyTable& keys, const std::string& prefix, OptimizerOptions& options) {
  keys.add(prefix + "learning_rate", &options.learning_rate, "peak learning rate", positive());
  keys.add(prefix + "beta1", &options.beta1, "decay of the mean of gradients", below_one());
  keys.add(prefix + "beta2", &options.beta2, "decay of the mean of squared gradients", below_one());
  keys.add(prefix + "epsilon", &options.epsilon, "added to the root in the update", positive());
  keys.add(prefix + "weight_decay", &options.weight_decay, "decoupled decay of matrices and tables; norms and biases have none",
           at_least(0));
  keys.add(prefix + "clip", &options.clip, "largest norm of the whole gradient; 0: no clipping", at_least(0));
  keys.add(prefix + "schedule", &options.schedule, "learning rate after the warm-up", one_of({"cosine", "constant"}));
  keys.add(prefix + "warmup", &options.warmup, "steps of linear warm-up (paper: 15000)", at_least(0));
  keys.add(prefix + "warmup_start", &options.warmup_start, "learning rate that the warm-up rises from", at_least(0));
  keys.add(prefix + "final_ratio", &options.final_ratio, "share of the peak at which the cosine ends", range(0, 1));
  keys.add(prefix + "decay_steps", &options.decay_steps, "step at which the cosine ends (paper: 1000000); 0: train.steps",
           at_least(0));
}

double learning_rate(const OptimizerOptions& options, int64_t step, int64_t num_steps) {
  const double peak = options.learning_rate;
  if (step < options.warmup)
    return options.warmup_start +
           (peak - options.warmup_start) * static_cast<double>(step + 1) / static_cast<double>(options.warmup);
  if (options.schedule == "constant") return peak;
  const int64_t last = options.decay_steps > 0 ? options.decay_steps : num_steps;
  const double progress =
      last > options.warmup ? static_cast<double>(step - options.warmup) / static_cast<double>(last - options.warmup) : 1.0;
  const double cosine = 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(progress, 1.0)));
  return peak * (options.final_ratio + (1.0 - options.final_ratio) * cosine);
}

AdamW::AdamW(torch::nn::Module& module, OptimizerOptions options) : options_(std::move(options)) {
  for (const auto& item : module.named_parameters()) {
    const auto& parameter = item.value();
    if (!parameter.requires_grad()) continue;
    slots_.push_back({item.key(), parameter, at::zeros_like(parameter), at::zeros_like(parameter),
                      at::zeros({}, parameter.options().dtype(at::kFloat).requires_grad(false))});
  }
}

void AdamW::zero_grad() {
  for (auto& slot : slots_) slot.parameter.mutable_grad() = at::Tensor();
}

double AdamW::clip_gradients() {
  std::vector<at::Tensor> gradients;
  for (const auto& slot : slots_)
    if (slot.parameter.grad().defined()) gradients.push_back(slot.parameter.grad());
  if (gradients.empty()) return 0.0;
  const double norm = at::stack(at::_foreach_norm(gradients, 2)).norm(2).item<double>();
  if (options_.clip > 0.0 && norm > options_.clip) at::_foreach_mul_(gradients, options_.clip / norm);
  return norm;
}

void AdamW::step(double learning_rate) {
  const at::NoGradGuard no_grad;
  struct Group {
    std::vector<at::Tensor> parameters, gradients, exp_avg, exp_avg_sq, steps;
  } groups[2];
  for (auto& slot : slots_) {
    if (!slot.parameter.grad().defined()) continue;
    auto& group = groups[slot.parameter.dim() >= 2 ? 1 : 0];
    group.parameters.push_back(slot.parameter);
    group.gradients.push_back(slot.parameter.grad());
    group.exp_avg.push_back(slot.exp_avg);
    group.exp_avg_sq.push_back(slot.exp_avg_sq);
    group.steps.push_back(slot.step);
  }
  for (int decayed = 0; decayed < 2; ++decayed) {
    auto& group = groups[decayed];
    if (group.parameters.empty()) continue;
    at::_foreach_add_(group.steps, 1);  // the fused kernel reads the step, its caller counts
    at::_fused_adamw_(group.parameters, group.gradients, group.exp_avg, group.exp_avg_sq, {}, group.steps, learning_rate,
                      options_.beta1, options_.beta2, decayed ? options_.weight_decay : 0.0, options_.epsilon,
                      /*amsgrad=*/false, /*maximize=*/false);
  }
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> state;
  for (const auto& slot : slots_) {
    state[slot.name + ".exp_avg"] = slot.exp_avg;
    state[slot.name + ".exp_avg_sq"] = slot.exp_avg_sq;
    state[slot.name + ".step"] = slot.step;
  }
  return state;
}

void AdamW::load_state(const std::map<std::string, at::Tensor>& state) {
  const at::NoGradGuard no_grad;
  auto own = this->state();
  const std::string hint = "resume with the model the run was started with";
  for (const auto& [name, tensor] : own) {  // all of it before any of it is changed
    const auto found = state.find(name);
    if (found == state.end() || found->second.sizes() != tensor.sizes())
      throw Error("the optimizer's state '" + name + "' is " + (found == state.end() ? "missing" : "of another shape"), hint);
  }
  for (const auto& [name, tensor] : state)
    if (!own.contains(name)) throw Error("the optimizer's state '" + name + "' is of no parameter of the model", hint);
  for (auto& [name, tensor] : own) tensor.copy_(state.at(name));
}

}  // namespace mugato
