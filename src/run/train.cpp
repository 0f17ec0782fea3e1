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
  std::map<std::string, std::string> files{{"config.toml", keys_of(config).to_toml()}, {"data.json", to_json(parts.facts)}};
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

// The newest checkpoint as rank 0 sees it: others may look a moment later.
std::optional<fs::path> agreed_newest(const CheckpointStore& store, dist::Group& group) {
  const auto newest = store.newest();
  const auto first = group.all_gather(newest ? newest->string() : "").front();
  return first.empty() ? std::nullopt : std::optional<fs::path>(first);
}

TrainState resume_state(const Parts& parts, const std::optional<fs::path>& newest, AdamW& optimizer, BatchStream& stream,
                        ProgressConsole& console, int64_t num_ranks) {
  if (!newest) {
    console.line("nothing to resume in " + (fs::path(parts.config.out) / "checkpoints").string() + ": starting at step 0");
    return {};
  }
  check_same_tokenizer(parts, *newest);
  auto state = CheckpointStore::load(*newest, *parts.agent, &optimizer);
  stream.set_state(state.data);
  std::string line = "resuming from " + newest->string();
  if (state.ranks != num_ranks)
    line += ", trained by " + std::to_string(state.ranks) + (state.ranks == 1 ? " process" : " processes") + ", with " +
            std::to_string(num_ranks) + ": the data go on at the same sample";
  console.line(line);
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

std::vector<std::string> selection_lines(const Parts& parts) {
  std::vector<std::string> lines;
  for (const auto& [domain, facts] : parts.facts)
    if (facts.episodes < facts.found)
      lines.push_back(domain + ": trains on " + std::to_string(facts.episodes) + " of " + std::to_string(facts.found) +
                      " episodes, chosen by their return");
  return lines;
}

// Says once for a domain that its values do not fit their declared range, and that a sample of it is broken; the metrics
// data/clipped and data/skipped go on counting.
class DataWarnings {
 public:
  DataWarnings(ProgressConsole& console, std::vector<std::string> domains)
      : console_(console), domains_(std::move(domains)), clipped_(domains_.size(), false), skipped_(domains_.size(), false) {}

  void step(const StepReport& report) {
    if (!report.skipped.empty())
      console_.line("warning: step " + std::to_string(report.step) + " was skipped: " + report.skipped);
    for (size_t d = 0; d < domains_.size(); ++d) {
      const auto& count = report.counts[d];
      if (count.clipped > 0 && !clipped_[d])
        console_.line("warning: " + domains_[d] + ": " + std::to_string(count.clipped) + " continuous values of step " +
                      std::to_string(report.step) +
                      " are outside of their field's range and were clipped: set its low and high");
      if (count.skipped > 0 && !skipped_[d])
        console_.line("warning: " + domains_[d] + ": " + std::to_string(count.skipped) + " broken samples of step " +
                      std::to_string(report.step) + " were skipped: " + report.problems[d]);
      clipped_[d] = clipped_[d] || count.clipped > 0;
      skipped_[d] = skipped_[d] || count.skipped > 0;
    }
  }

 private:
  ProgressConsole& console_;
  std::vector<std::string> domains_;
  std::vector<bool> clipped_, skipped_;
};

void say_skipped(ProgressConsole& console, const TrainState& state) {
  for (const auto& [domain, count] : state.counts)
    if (count.skipped > 0)
      console.line(domain + ": " + std::to_string(count.skipped) + " broken samples were skipped in " +
                   std::to_string(state.step) + " steps");
}

// The files of a run's folder that grow, of rank 0 alone.
MetricSinks open_metrics(const fs::path& run, int64_t step) {
  MetricSinks metrics;
  // A run that was killed before its first checkpoint has metrics too: the steps are written again.
  const auto resumed_at = fs::exists(run / "metrics.jsonl") ? std::optional(step) : std::nullopt;
  metrics.add(std::make_unique<JsonlSink>(run / "metrics.jsonl", resumed_at));
  metrics.add(std::make_unique<TensorBoardSink>(run, resumed_at));
  return metrics;
}

// The signal that any of the processes got; 0: none did.
int agreed_signal(const StopSignal& stop, dist::Group& group) {
  const auto signal = at::full({1}, stop.signal(), at::kLong);
  group.all_reduce(signal, dist::Group::Op::kMax);
  return static_cast<int>(signal.item<int64_t>());
}

TrainResult train_in(dist::Group& group, const RunConfig& config, const Registries& registries, bool resume) {
  const fs::path run = config.out;
  const bool is_first = group.rank() == 0;
  const StopSignal stop;
  const c10::OptionalDeviceGuard guard(group.device());
  auto parts = Parts::build(config, registries, group.device());
  const auto newest = agreed_newest(CheckpointStore(run, config.train.keep, {}), group);
  if (!resume && newest)
    throw Error(run.string() + " already holds a run",
                "continue it with --resume, or choose another folder with --set run.out=...");

  data::Loader loader(config.data, parts.open_training(registries, newest), parts.tokenizer, parts.sequencer,
                      parts.loader_options(group));
  CheckpointStore store(run, config.train.keep, companion_files(parts));
  AdamW optimizer(*parts.agent, config.optim);
  ProgressConsole console(is_first ? stderr : nullptr, loader.domain_names());
  if (group.size() > 1) console.line(group.text());
  for (const auto& line : selection_lines(parts)) console.line(line);
  DataWarnings warnings(console, loader.domain_names());
  const auto state = resume ? resume_state(parts, newest, optimizer, loader, console, group.size()) : TrainState{};

  MetricSinks metrics;
  if (is_first) {
    make_folders(run);
    write_file_atomically(run / "config.toml", companion_files(parts).at("config.toml"));
    metrics = open_metrics(run, state.step);
  }

  NextTokenObjective objective(parts.agent);
  std::vector<std::shared_ptr<const data::Source>> held_out;  // opened with the first evaluation
  std::vector<double> weights;
  for (const auto& entry : config.data) weights.push_back(entry.loss_weight);
  Trainer trainer(config.train, config.optim, static_cast<uint64_t>(config.seed), parts.device,
                  {.objective = objective,
                   .optimizer = optimizer,
                   .stream = loader,
                   .checkpoints = store,
                   .metrics = metrics,
                   .domain_weights = weights,
                   .group = &group,
                   .reducer = config.reducer,
                   .on_step =
                       [&](const StepReport& report) {
                         warnings.step(report);
                         console.step(report);
                       },
                   .evaluate =
                       [&](int64_t step) {
                         if (held_out.empty()) {
                           held_out = parts.sources(registries, data::Split::kEvaluation);
                           for (const auto& line : lines_of_nothing_held_out(parts, held_out)) console.line("warning: " + line);
                         }
                         auto result = held_out_losses(parts, held_out, config.eval_documents, group);
                         console.line(evaluation_line(step, result));
                         return result;
                       }});
  trainer.state() = state;
  trainer.run(stop);
  say_skipped(console, trainer.state());
  return {trainer.state().step, agreed_signal(stop, group), group.rank()};
}

}  // namespace

TrainResult train(const RunConfig& config, const Registries& registries, bool resume) {
  const auto environment = dist::process_environment();
  std::optional<dist::Group> group;
  try {
    group = dist::Group::join(dist::find_launch(config.group.launch, environment), config.group, config.device);
    return train_in(*group, config, registries, resume);
  } catch (const dist::PeerLost& lost) {
    dist::report_failure(environment, lost.what(), /*is_cause=*/false);
    throw;
  } catch (const std::exception& failure) {
    if (group) group->fail(failure.what());
    dist::report_failure(environment, failure.what(), /*is_cause=*/true);
    throw;
  }
}

}  // namespace mugato::run
