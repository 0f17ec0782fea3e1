#include "mugato/run/evaluate.h"

#include <numeric>

#include "mugato/core/error.h"
#include "mugato/core/text.h"
#include "mugato/data/decorator.h"
#include "mugato/data/entry_world.h"
#include "mugato/data/windows.h"
#include "mugato/data/world_source.h"

namespace mugato::run {
namespace {

struct HeldOut {
  double nll = 0.0;
  int64_t documents = 0, targets = 0, correct = 0;
  int64_t skipped = 0;  // episodes that can not be read
};

void add_over_ranks(HeldOut& sum, dist::Group& group) {
  const auto nll = at::full({1}, sum.nll, at::kDouble);
  const auto counts = at::tensor({sum.documents, sum.targets, sum.correct, sum.skipped}, at::kLong);
  group.all_reduce(nll);
  group.all_reduce(counts);
  sum.nll = nll.item<double>();
  const auto* count = counts.const_data_ptr<int64_t>();
  for (auto* of : {&sum.documents, &sum.targets, &sum.correct, &sum.skipped}) *of = *count++;
}

// Packs samples into rows of the run's context and adds up what the model says of their targets.
HeldOut read_samples(const Parts& parts, std::vector<Sample> samples) {
  const at::NoGradGuard no_grad;
  const int64_t context = parts.config.train.context;
  constexpr size_t kRows = 8;
  HeldOut sum{.documents = static_cast<int64_t>(samples.size())};
  std::vector<std::vector<Sample>> rows;
  int64_t room = 0;
  const auto flush = [&] {
    if (rows.empty()) return;
    const auto batch = parts.sequencer->lay_out(rows, context, 1).to(parts.device);
    const auto& layout = batch.layout;
    const auto hidden =
        parts.agent->forward(batch, nullptr, layout.target_slots).flatten(0, 1).index_select(0, layout.target_slots);
    const auto logits = at::mm(hidden, parts.agent->head().t()).to(at::kDouble);
    const auto log_probability = at::log_softmax(logits, 1).gather(1, layout.targets.unsqueeze(1));
    sum.nll -= log_probability.sum().item<double>();
    sum.correct += (logits.argmax(1) == layout.targets).sum().item<int64_t>();
    sum.targets += layout.num_targets();
    rows.clear();
  };
  for (auto& sample : samples) {
    sample.domain = 0;
    const int64_t tokens = parts.sequencer->num_tokens(sample);
    if (rows.empty() || tokens > room) {
      if (rows.size() == kRows) flush();
      rows.emplace_back();
      room = context;
    }
    room -= tokens;
    rows.back().push_back(std::move(sample));
  }
  flush();
  return sum;
}

// The documents rank, rank + size, ... of a source; the sum of all processes.
HeldOut read_source(const Parts& parts, const data::DataEntry& entry, const data::Source& source, int64_t documents,
                    dist::Group& group) {
  const data::WindowCutter cutter(std::make_shared<const Schema>(source.schema()),
                                  {.context = parts.config.train.context, .max_steps = entry.max_steps}, *parts.tokenizer,
                                  *parts.sequencer);
  std::vector<Sample> samples;
  int64_t skipped = 0;
  for (int64_t i = group.rank(); i < std::min(documents, source.size()); i += group.size()) {
    try {
      for (auto& sample : cutter.all(source.get(i))) samples.push_back(std::move(sample));
    } catch (const Error& error) {
      if (!entry.skips_broken()) throw data::of_entry(entry.domain(), error);
      ++skipped;
    }
  }
  auto sum = read_samples(parts, std::move(samples));
  sum.skipped = skipped;
  add_over_ranks(sum, group);
  return sum;
}

const data::DataEntry& entry_of(const Parts& parts, const Registries& registries, const std::string& name) {
  const auto& entries = parts.config.data;
  const auto named = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.domain() == name; });
  if (named != entries.end()) return *named;
  const auto from = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) { return entry.source == name; });
  if (from != entries.end()) return *from;
  registries.environments.build(name);  // a world that nobody knows is another mistake
  throw Error("this run was not trained in '" + name + "'",
              "it was trained on " + comma_separated(entries, &data::DataEntry::domain));
}

}  // namespace

std::map<std::string, double> held_out_losses(const Parts& parts, const Registries& registries, int64_t documents) {
  dist::Group alone;
  return held_out_losses(parts, parts.sources(registries, data::Split::kEvaluation), documents, alone);
}

std::map<std::string, double> held_out_losses(const Parts& parts,
                                              const std::vector<std::shared_ptr<const data::Source>>& sources,
                                              int64_t documents, dist::Group& group) {
  std::map<std::string, double> metrics;
  double weighted_nll = 0.0, weighted_targets = 0.0;
  const auto weights = parts.weights();
  for (size_t i = 0; i < sources.size(); ++i) {
    const auto& entry = parts.config.data[i];
    const auto sum = read_source(parts, entry, *sources[i], documents, group);
    if (sum.skipped > 0) metrics["skipped/" + entry.domain()] = static_cast<double>(sum.skipped);
    if (sum.targets == 0) continue;
    const auto targets = static_cast<double>(sum.targets);
    metrics["loss/" + entry.domain()] = sum.nll / targets;
    metrics["accuracy/" + entry.domain()] = static_cast<double>(sum.correct) / targets;
    // Training draws documents by weight, so of a source it sees weight times what is in one of its documents.
    const double share = weights[i] * entry.loss_weight / static_cast<double>(sum.documents);
    weighted_nll += share * sum.nll;
    weighted_targets += share * targets;
  }
  if (weighted_targets > 0.0) metrics["loss"] = weighted_nll / weighted_targets;
  return metrics;
}

std::vector<std::string> lines_of_nothing_held_out(const Parts& parts,
                                                   const std::vector<std::shared_ptr<const data::Source>>& sources) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < sources.size(); ++i)
    if (const auto& entry = parts.config.data[i]; sources[i]->size() == 0)
      lines.push_back(entry.domain() + ": none of its episodes is held out for evaluation (held_out = " +
                      c10::str(entry.reading.held_out) + ")");
  return lines;
}

WorldScores play(const Parts& parts, const Registries& registries, const std::string& name, int64_t episodes, int64_t first,
                 const act::Watcher& watcher) {
  const auto& entry = entry_of(parts, registries, name);
  // An entry from another source may bear the name of the world that its episodes come from.
  const auto& environment = registries.environments.has(entry.source) ? entry.source : entry.domain();
  const auto build = [&] { return data::world_of_entry(registries.environments.build(environment), entry); };
  const auto world = build();
  const int64_t sessions = std::min(parts.config.act.sessions, episodes);
  auto policy = parts.policy(world->schema(), entry.domain(), sessions);
  std::vector<uint64_t> seeds;
  for (int64_t i = first; i < first + episodes; ++i) seeds.push_back(env::evaluation_seed(static_cast<uint64_t>(i)));
  WorldScores result;
  result.episodes = act::rollout(policy, sessions, build, seeds, watcher);
  result.scores = act::score(result.episodes, world->reference_scores());
  return result;
}

StoriesScores score_stories(const Parts& parts, int64_t documents) {
  const data::StoriesSource source(data::Split::kEvaluation);
  data::DataEntry entry;
  for (const auto& candidate : parts.config.data)
    if (candidate.source == "stories") entry = candidate;
  StoriesScores scores{.random = source.stories().reference_scores().random};
  const auto count = static_cast<double>(documents);
  for (int64_t i = 0; i < documents; ++i)
    scores.entropy -= source.stories().tell(data::world_seed(data::Split::kEvaluation, i)).log_probability / count;
  dist::Group alone;
  scores.loss = read_source(parts, entry, source, documents, alone).nll / count;
  return scores;
}

}  // namespace mugato::run
