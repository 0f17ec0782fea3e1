#include <cstdio>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "mugato/run/bench.h"

namespace mugato::program {
namespace {

struct BenchArguments {
  std::string config;
  int64_t warmup = 5, steps = 20;
  bool json = false;
  std::vector<std::string> assignments;
};

constexpr const char* kFigures = R"(What is printed, of the steps that count (in brackets the keys of --json):
  tokens/s        slots of rows a second, pads included [tokens_per_second]
  useful          tokens a second, pads not counted [useful_tokens_per_second]
  at the peak     memory of the process on a CPU, allocated tensors on a GPU [peak_memory_bytes]
  system time     share of the processor time spent in the kernel, as on page faults [system_share]
and the mean time of a step by its phases, in milliseconds and per cent [seconds_per_step, in seconds]:
  data            waiting for the threads that make rows
  embed           to the device, and ids and patches to vectors
  forward         the sequence model
  loss            head and cross-entropy, with the gradients that they make at once
  backward        the gradients of all else
  optimizer       clipping and the update
  total           the sum
On a GPU every phase waits for its kernels, so that a step takes longer than in training. In --json there are also the number
of weights [parameters] and of steps that count [steps].)";

void bench(const BenchArguments& arguments) {
  const run::Registries registries;
  const auto config = run::read_config(arguments.config, arguments.assignments);
  const auto report = run::bench(config, registries, arguments.warmup, arguments.steps);
  const nlohmann::ordered_json json = {{"tokens_per_second", report.tokens_per_second},
                                       {"useful_tokens_per_second", report.useful_tokens_per_second},
                                       {"seconds_per_step",
                                        {{"data", report.data},
                                         {"embed", report.embed},
                                         {"forward", report.forward},
                                         {"loss", report.loss},
                                         {"backward", report.backward},
                                         {"optimizer", report.optimizer},
                                         {"total", report.step}}},
                                       {"system_share", report.system_share},
                                       {"peak_memory_bytes", report.peak_memory},
                                       {"parameters", report.parameters},
                                       {"steps", report.steps}};
  if (arguments.json) {
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("%.0f tokens/s, %.0f useful; %.0f MiB at the peak; %.1f%% system time\n", report.tokens_per_second,
              report.useful_tokens_per_second, static_cast<double>(report.peak_memory) / (1 << 20),
              100.0 * report.system_share);
  for (const auto& [phase, time] : json["seconds_per_step"].items())
    std::printf("  %-10s %8.1f ms  %5.1f%%\n", phase.c_str(), 1000.0 * time.get<double>(),
                100.0 * time.get<double>() / report.step);
}

}  // namespace

void add_bench(CLI::App& app) {
  auto* command = app.add_subcommand("bench", "Time the parts of a training step");
  auto arguments = std::make_shared<BenchArguments>();
  command->add_option("CONFIG", arguments->config, "TOML file; configs/bench/small.toml is the usual workload")->required();
  command->add_option("--warmup", arguments->warmup, "steps that do not count")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--steps", arguments->steps, "steps that count")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_flag("--json", arguments->json, "print JSON");
  command->add_option("--set", arguments->assignments, "change a key of the configuration")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->footer(kFigures);
  command->callback([arguments] { bench(*arguments); });
}

}  // namespace mugato::program
