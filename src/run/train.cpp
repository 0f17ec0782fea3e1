#include <cstdio>

#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/run/evaluate.h"
#include "mugato/run/run.h"
#include "mugato/text/tokenizer.h"
#include "mugato/train/console.h"

namespace fs = std::filesystem;

namespace mugato::run {
namespace {

// The files every checkpoint carries: a run acts from its checkpoint alone.
std::map<std::string, std::string> companion_files(const Parts& parts) {
  auto config = parts.config;
  std::map<std::string, std::string> files{{"config.toml", keys_of(config).to_toml()}};
  if (parts.text) {
    auto bytes = parts.text->serialized();
    const auto name = text::kept_name(bytes);
    files[name] = std::move(bytes);
  }
  return files;
}

void check_same_tokenizer(const Parts& parts, const fs::path& checkpoint) {
  const auto path = text::kept_file(checkpoint);
  if (path.has_value() == (parts.text != nullptr) && (!path || read_file(*path) == parts.text->serialized())) return;
  throw Error(
      "tokens.text '" + parts.config.tokens.text + "' is not the tokenizer that " + checkpoint.string() + " was trained with",
      path ? "set tokens.text to " + path->string() : "it was trained without one: set tokens.text to \"\"");
}

TrainState resume_state(const Parts& parts, const CheckpointStore& store, AdamW& optimizer, BatchStream& stream,
                        ProgressConsole& console) {
  const auto newest = store.newest();
  if (!newest) {
    console.line("nothing to resume in " + store.folder().string() + ": starting at step 0");
    return {};
  }
  check_same_tokenizer(parts, *newest);
  auto state = CheckpointStore::load(*newest, *parts.agent, &optimizer);
  stream.set_state(state.data);
  console.line("resuming from " + newest->string());
  return state;
}

std::string evaluation_line(int64_t step, const std::map<std::string, double>& metrics) {
  std::string text = "evaluation at step " + std::to_string(step) + ":";
  for (const auto& [name, value] : metrics) {
    char number[96];
    std::snprintf(number, sizeof number, "  %s %.3f", name.c_str(), value);
    text += number;
  }
  return text;
}

// Says once for a domain that its values do not fit their declared range; the metric data/clipped goes on counting.
class ClippedWarning {
 public:
  ClippedWarning(ProgressConsole& console, std::vector<std::string> domains)
      : console_(console), domains_(std::move(domains)), said_(domains_.size(), false) {}

  void step(const StepReport& report) {
    for (size_t d = 0; d < domains_.size(); ++d) {
      if (said_[d] || report.clipped[d] == 0) continue;
      said_[d] = true;
      console_.line("warning: " + domains_[d] + ": " + std::to_string(report.clipped[d]) + " continuous values of step " +
                    std::to_string(report.step) + " are outside of their field's range and were clipped: set its low and high");
    }
  }

 private:
  ProgressConsole& console_;
  std::vector<std::string> domains_;
  std::vector<bool> said_;
};

}  // namespace

TrainResult train(const RunConfig& config, const Registries& registries, bool resume) {
  const fs::path run = config.out;
  const StopSignal stop;
  auto parts = Parts::build(config, registries);
  CheckpointStore store(run, config.train.keep, companion_files(parts));
  if (!resume && store.newest())
    throw Error(run.string() + " already holds a run",
                "continue it with --resume, or choose another folder with --set run.out=...");

  const auto seed = static_cast<uint64_t>(config.seed);
  data::Loader loader(config.data, parts.sources(registries, data::Split::kTrain), parts.tokenizer, parts.sequencer,
                      {.rows = config.train.rows,
                       .micro_rows = config.train.micro_rows,
                       .context = config.train.context,
                       .workers = config.train.workers,
                       .seed = seed});
  AdamW optimizer(*parts.agent, config.optim);
  ProgressConsole console(stderr, loader.domain_names());
  ClippedWarning clipped(console, loader.domain_names());
  const auto state = resume ? resume_state(parts, store, optimizer, loader, console) : TrainState{};

  make_folders(run);
  write_file_atomically(run / "config.toml", companion_files(parts).at("config.toml"));
  MetricSinks metrics;
  // A run that was killed before its first checkpoint has metrics too: the steps are written again.
  const auto resumed_at = fs::exists(run / "metrics.jsonl") ? std::optional(state.step) : std::nullopt;
  metrics.add(std::make_unique<JsonlSink>(run / "metrics.jsonl", resumed_at));
  metrics.add(std::make_unique<TensorBoardSink>(run, resumed_at));

  NextTokenObjective objective(parts.agent);
  std::vector<double> weights;
  for (const auto& entry : config.data) weights.push_back(entry.loss_weight);
  Trainer trainer(config.train, config.optim, seed, parts.device,
                  {.objective = objective,
                   .optimizer = optimizer,
                   .stream = loader,
                   .checkpoints = store,
                   .metrics = metrics,
                   .domain_weights = weights,
                   .on_step =
                       [&](const StepReport& report) {
                         clipped.step(report);
                         console.step(report);
                       },
                   .evaluate =
                       [&](int64_t step) {
                         auto result = held_out_losses(parts, registries, config.eval_documents);
                         console.line(evaluation_line(step, result));
                         return result;
                       }});
  trainer.state() = state;
  trainer.run(stop);
  return {trainer.state().step, stop.signal()};
}

}  // namespace mugato::run
