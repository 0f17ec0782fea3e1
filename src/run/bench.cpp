#include "mugato/run/bench.h"

#include <chrono>
#include <numeric>

#ifdef MUGATO_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#endif

#include "mugato/nn/bf16_scope.h"
#include "mugato/nn/objective.h"
#include "process.h"

namespace mugato::run {
namespace {

// Adds the time between two calls to a phase; on a GPU the phase ends when its kernels do.
class Stopwatch {
 public:
  explicit Stopwatch(at::Device device) : device_(device) {}

  void start() { last_ = now(); }
  void lap(double& phase) {
    const double time = now();
    phase += time - last_;
    last_ = time;
  }

 private:
  double now() const {
#ifdef MUGATO_CUDA
    if (device_.is_cuda()) c10::cuda::device_synchronize();
#endif
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  at::Device device_;
  double last_ = 0.0;
};

int64_t peak_memory(at::Device device) {
#ifdef MUGATO_CUDA
  if (device.is_cuda()) return c10::cuda::CUDACachingAllocator::getDeviceStats(0).allocated_bytes[0].peak;
#endif
  TORCH_CHECK(device.is_cpu(), "no memory statistics for this device");
  return ProcessUsage::now().peak_memory;
}

// One training step, as Trainer takes it, with a lap after each part.
void timed_step(Parts& parts, data::Loader& loader, AdamW& optimizer, const std::vector<double>& weights, Stopwatch& watch,
                BenchReport& report, int64_t& slots, int64_t& tokens) {
  watch.start();
  const auto step = loader.next();
  watch.lap(report.data);
  double total = 0.0;
  for (size_t d = 0; d < weights.size(); ++d) total += weights[d] * static_cast<double>(step.counts[d].targets);
  optimizer.zero_grad();
  for (const auto& micro : step.micro_batches) {
    const auto batch = micro.to(parts.device);
    slots += batch.layout.rows * batch.layout.capacity;
    tokens += batch.layout.num_tokens();
    if (batch.layout.num_targets() == 0) continue;
    const Bf16Scope autocast(parts.config.train.bf16, parts.device.type());
    const auto x = parts.agent->embedder().forward(batch);
    watch.lap(report.embed);
    const auto hidden =
        parts.agent->trunk().forward({.x = x, .layout = batch.layout, .wanted = batch.layout.target_slots}, nullptr);
    watch.lap(report.forward);
    const auto terms = next_token_loss(hidden, parts.agent->head(), batch, weights);
    watch.lap(report.loss);
    (terms.weighted_sum / total).backward();
    watch.lap(report.backward);
  }
  optimizer.clip_gradients();
  optimizer.step(1e-4);
  watch.lap(report.optimizer);
}

}  // namespace

BenchReport bench(const RunConfig& config, const Registries& registries, int64_t warmup, int64_t steps) {
  auto parts = Parts::build(config, registries);
  data::Loader loader(config.data, parts.open_training(registries), parts.tokenizer, parts.sequencer, parts.loader_options());
  AdamW optimizer(*parts.agent, config.optim);
  std::vector<double> weights;
  for (const auto& entry : config.data) weights.push_back(entry.loss_weight);
  parts.agent->train();

  Stopwatch watch(parts.device);
  BenchReport report, ignored;
  int64_t slots = 0, tokens = 0;
  for (int64_t i = 0; i < warmup; ++i) timed_step(parts, loader, optimizer, weights, watch, ignored, slots, tokens);
  slots = tokens = 0;
  const auto before = ProcessUsage::now();
  for (int64_t i = 0; i < steps; ++i) timed_step(parts, loader, optimizer, weights, watch, report, slots, tokens);
  const auto after = ProcessUsage::now();

  for (double* phase : {&report.data, &report.embed, &report.forward, &report.loss, &report.backward, &report.optimizer}) {
    *phase /= static_cast<double>(steps);
    report.step += *phase;
  }
  report.steps = steps;
  report.tokens_per_second = static_cast<double>(slots) / static_cast<double>(steps) / report.step;
  report.useful_tokens_per_second = static_cast<double>(tokens) / static_cast<double>(steps) / report.step;
  const double system = after.system - before.system;
  report.system_share = system / (after.processor() - before.processor());
  report.peak_memory = peak_memory(parts.device);
  for (const auto& parameter : parts.agent->parameters()) report.parameters += parameter.numel();
  return report;
}

}  // namespace mugato::run
