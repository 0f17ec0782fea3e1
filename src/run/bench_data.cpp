#include <ctime>
#include <mutex>

#include "../data/image_file.h"
#include "mugato/data/decorator.h"
#include "mugato/run/bench.h"
#include "process.h"

namespace mugato::run {
namespace {

constexpr int64_t kRound = 50;  // steps

double seconds_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Remembers which episodes were read, so that their images can be decoded once more.
class WatchedSource : public data::SourceDecorator {
 public:
  using SourceDecorator::SourceDecorator;

  Episode get(int64_t index) const override {
    auto episode = inner().get(index);
    const std::lock_guard lock(mutex_);
    read_.push_back(index);
    return episode;
  }

  std::vector<int64_t> take() const {
    const std::lock_guard lock(mutex_);
    return std::exchange(read_, {});
  }

 private:
  mutable std::mutex mutex_;
  mutable std::vector<int64_t> read_;
};

int64_t num_timesteps(const TokenLayout& layout) {
  int64_t sum = 0;
  for (const auto& document : layout.documents) {
    const int64_t last = document.row * layout.capacity + document.begin + document.length - 1;
    sum += layout.timestep.const_data_ptr<int64_t>()[last] + 1;
  }
  return sum;
}

void add(const GlobalStep& step, DataReport& report) {
  ++report.steps;
  for (const auto& counts : step.counts) report.samples += counts.samples;
  for (const auto& batch : step.micro_batches) {
    report.timesteps += num_timesteps(batch.layout);
    report.tokens += batch.layout.num_tokens();
  }
}

void measure(data::Loader& loader, int64_t steps, DataReport& report) {
  const double wall = seconds_of(CLOCK_MONOTONIC), processor = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  for (int64_t i = 0; i < steps; ++i) add(loader.next(), report);
  report.processor_seconds += seconds_of(CLOCK_PROCESS_CPUTIME_ID) - processor;
  report.wall_seconds += seconds_of(CLOCK_MONOTONIC) - wall;
  report.peak_memory = std::max(report.peak_memory, ProcessUsage::now().peak_memory);
}

// Nothing is made ahead until the next step is asked for.
void restart(data::Loader& loader, const std::vector<std::shared_ptr<const WatchedSource>>& sources) {
  loader.set_state(loader.state());
  for (const auto& source : sources) source->take();
}

// By the decoder that the readers use, one image after the other.
void decode_again(const data::RawEpisode& episode, DataReport& report) {
  for (const auto& leaf : episode.leaves) {
    // Of one timestep more than there are actions, the last is not read.
    const auto count = std::min<size_t>(leaf.encoded.size(), static_cast<size_t>(episode.num_steps));
    const double begin = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < count; ++i) data::decode_image(leaf.encoded[i], leaf.name);
    report.decoder_seconds += seconds_of(CLOCK_THREAD_CPUTIME_ID) - begin;
    report.images += static_cast<int64_t>(count);
    for (size_t i = 1; i < count; ++i) report.repeated_images += leaf.encoded[i] == leaf.encoded[i - 1] ? 1 : 0;
  }
}

}  // namespace

DataReport bench_data(const RunConfig& config, const Registries& registries, int64_t warmup, int64_t steps) {
  auto parts = Parts::shapes(config, registries);
  std::vector<std::shared_ptr<const WatchedSource>> watched;
  for (auto& source : parts.open_training(registries)) watched.push_back(std::make_shared<WatchedSource>(std::move(source)));
  auto options = parts.loader_options();
  options.workers = 1;

  DataReport report;
  data::Loader loader(config.data, {watched.begin(), watched.end()}, parts.tokenizer, parts.sequencer, options);
  for (int64_t i = 0; i < warmup; ++i) loader.next();
  // The decoder takes turns with the loader, so that both meet the same machine.
  restart(loader, watched);
  for (int64_t left = steps; left > 0; left -= kRound) {
    measure(loader, std::min(left, kRound), report);
    std::vector<std::vector<int64_t>> read;
    for (const auto& source : watched) read.push_back(source->take());
    restart(loader, watched);
    for (size_t i = 0; i < watched.size(); ++i)
      for (const int64_t index : read[i]) decode_again(watched[i]->raw(index), report);
  }
  return report;
}

}  // namespace mugato::run
