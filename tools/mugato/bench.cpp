#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "mugato/run/bench.h"

namespace mugato::program {
namespace {

struct BenchArguments {
  std::string config;
  int64_t warmup = 5, steps = 20;
  bool data = false, json = false;
  std::vector<std::string> assignments;
};

using nlohmann::ordered_json;

constexpr const char* kFigures = R"(What is printed, of the steps that count (in brackets the keys of --json):
  tokens/s        slots of rows a second, pads included [tokens_per_second]
  useful          tokens a second, pads not counted [useful_tokens_per_second]
  at the peak     memory of the process on a CPU, allocated tensors on a GPU [peak_memory_bytes]
  system time     share of the processor time spent in the kernel, as on page faults [system_share]
and the mean time of a step by its phases, in milliseconds and per cent [seconds_per_step, in seconds]:
  data            waiting for the threads that make rows [its share: data_share]
  embed           to the device, and ids and patches to vectors
  forward         the sequence model
  loss            head and cross-entropy, with the gradients that they make at once
  backward        the gradients of all else
  optimizer       clipping and the update
  total           the sum
On a GPU every phase waits for its kernels, so that a step takes longer than in training. In --json there are also the number
of weights [parameters] and of steps that count [steps].

With --data no model is built; one thread makes the steps as training gets them, and what is printed is
  of a CPU second, of a second   timesteps, tokens and samples in them [per_cpu_second, per_second: timesteps, tokens, samples]
  CPU ms a step                  of the processor, all threads together [cpu_seconds_per_step]
  the decoder                    of images that are encoded (JPEG, PNG, ...): what the decoder alone takes for those that were read
                                 [decoder_seconds_per_step], how many that were [images] and how many of them are the same as one
                                 timestep before, which readers decode once [repeated_images], and how many times as long making
                                 the steps took [times_the_decoder; null where no image is encoded]
  at the peak                    memory of the process [peak_memory_bytes])";

void print(const ordered_json& json) { std::printf("%s\n", json.dump(2).c_str()); }

ordered_json rates(const run::DataReport& report, double seconds) {
  return {{"timesteps", static_cast<double>(report.timesteps) / seconds},
          {"tokens", static_cast<double>(report.tokens) / seconds},
          {"samples", static_cast<double>(report.samples) / seconds}};
}

void print_rates(const char* of_what, const ordered_json& rates) {
  std::printf("  of a %-10s %8.0f timesteps, %9.0f tokens, %7.0f samples\n", of_what, rates["timesteps"].get<double>(),
              rates["tokens"].get<double>(), rates["samples"].get<double>());
}

void bench_data(const BenchArguments& arguments, const run::RunConfig& config, const run::Registries& registries) {
  const auto report = run::bench_data(config, registries, arguments.warmup, arguments.steps);
  const auto steps = static_cast<double>(report.steps);
  const double times_the_decoder = report.processor_seconds / report.decoder_seconds;
  const ordered_json json = {{"per_cpu_second", rates(report, report.processor_seconds)},
                             {"per_second", rates(report, report.wall_seconds)},
                             {"cpu_seconds_per_step", report.processor_seconds / steps},
                             {"images", report.images},
                             {"repeated_images", report.repeated_images},
                             {"decoder_seconds_per_step", report.decoder_seconds / steps},
                             {"times_the_decoder", report.images > 0 ? ordered_json(times_the_decoder) : ordered_json(nullptr)},
                             {"peak_memory_bytes", report.peak_memory},
                             {"steps", report.steps}};
  if (arguments.json) return print(json);
  print_rates("CPU second", json["per_cpu_second"]);
  print_rates("second", json["per_second"]);
  std::printf("  %.1f CPU ms a step; %.0f MiB at the peak\n", 1000.0 * report.processor_seconds / steps,
              static_cast<double>(report.peak_memory) / (1 << 20));
  if (report.images == 0) return;
  std::printf("  %.2f times what the decoder alone takes, %.1f CPU ms a step for %lld images, %lld of them repeated\n",
              times_the_decoder, 1000.0 * report.decoder_seconds / steps, static_cast<long long>(report.images),
              static_cast<long long>(report.repeated_images));
}

void bench(const BenchArguments& arguments) {
  const run::Registries registries;
  const auto config = run::read_config(arguments.config, arguments.assignments);
  if (arguments.data) return bench_data(arguments, config, registries);
  const auto report = run::bench(config, registries, arguments.warmup, arguments.steps);
  const ordered_json json = {{"tokens_per_second", report.tokens_per_second},
                             {"useful_tokens_per_second", report.useful_tokens_per_second},
                             {"seconds_per_step",
                              {{"data", report.data},
                               {"embed", report.embed},
                               {"forward", report.forward},
                               {"loss", report.loss},
                               {"backward", report.backward},
                               {"optimizer", report.optimizer},
                               {"total", report.step}}},
                             {"data_share", report.data / report.step},
                             {"system_share", report.system_share},
                             {"peak_memory_bytes", report.peak_memory},
                             {"parameters", report.parameters},
                             {"steps", report.steps}};
  if (arguments.json) return print(json);
  std::printf("%.0f tokens/s, %.0f useful; %.0f MiB at the peak; %.1f%% system time\n", report.tokens_per_second,
              report.useful_tokens_per_second, static_cast<double>(report.peak_memory) / (1 << 20),
              100.0 * report.system_share);
  for (const auto& [phase, time] : json["seconds_per_step"].items())
    std::printf("  %-10s %8.1f ms  %5.1f%%\n", phase.c_str(), 1000.0 * time.get<double>(),
                100.0 * time.get<double>() / report.step);
}

}  // namespace

void add_bench(CLI::App& app) {
  auto* command = app.add_subcommand("bench", "Time the parts of a training step, or how fast data are made");
  auto arguments = std::make_shared<BenchArguments>();
  command->add_option("CONFIG", arguments->config, "TOML file; configs/bench/small.toml is the usual workload")->required();
  command->add_option("--warmup", arguments->warmup, "steps that do not count")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--steps", arguments->steps, "steps that count")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_flag("--data", arguments->data, "make the steps alone, by one thread");
  command->add_flag("--json", arguments->json, "print JSON");
  command->add_option("--set", arguments->assignments, "change a key of the configuration")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->footer(kFigures);
  command->callback([arguments] { bench(*arguments); });
}

}  // namespace mugato::program
