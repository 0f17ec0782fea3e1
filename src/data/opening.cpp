#include "mugato/data/opening.h"

#include "mugato/data/selection.h"

namespace mugato::data {
namespace {

std::shared_ptr<const Source> normalized(std::shared_ptr<const Source> source, const DataEntry& entry,
                                         const EntryFacts& facts) {
  if (entry.normalize == "none") return source;
  return std::make_shared<NormalizedSource>(std::move(source), facts.ranges, entry.domain());
}

void measure(const Source& source, const DataEntry& entry, EntryFacts& facts) {
  if (facts.normalize.empty()) {
    facts.normalize = entry.normalize;
    if (entry.normalize != "none")
      facts.ranges = measure_ranges(source,
                                    {.kind = entry.normalize,
                                     .quantile = entry.normalize_quantile,
                                     .episodes = entry.statistics_episodes,
                                     .skip_broken = entry.skips_broken()},
                                    entry.domain());
  }
  if (facts.normalize != entry.normalize)
    throw Error("[[data]] entry '" + entry.domain() + "': normalize is \"" + entry.normalize +
                    "\", the run was started with \"" + facts.normalize + "\"",
                "go on with the run's own, or start another run");
}

}  // namespace

std::shared_ptr<const Source> open_training(const SourceRegistry& registry, const DataEntry& entry, EntryFacts& facts) {
  std::shared_ptr<const Source> source = build_source(registry, entry, Split::kTrain);
  facts.found = source->size();
  source =
      select(std::move(source), {.return_filter = entry.return_filter, .top = entry.top, .skip_broken = entry.skips_broken()},
             entry.domain());
  facts.episodes = source->size();
  measure(*source, entry, facts);
  return normalized(std::move(source), entry, facts);
}

std::shared_ptr<const Source> open_evaluation(const SourceRegistry& registry, const DataEntry& entry, const EntryFacts& facts) {
  return normalized(build_source(registry, entry, Split::kEvaluation), entry, facts);
}

Schema acting_schema(const Schema& schema, const DataEntry& entry, const EntryFacts& facts) {
  return entry.normalize == "none" ? schema : with_ranges(schema, facts.ranges, entry.domain());
}

}  // namespace mugato::data
