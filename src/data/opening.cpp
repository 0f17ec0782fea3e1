#include "mugato/data/opening.h"

#include "mugato/data/selection.h"

namespace mugato::data {

std::shared_ptr<const Source> open_training(const SourceRegistry& registry, const DataEntry& entry, EntryFacts& facts) {
  std::shared_ptr<const Source> source = build_source(registry, entry, Split::kTrain);
  facts.found = source->size();
  source =
      select(std::move(source), {.return_filter = entry.return_filter, .top = entry.top, .skip_broken = entry.skips_broken()},
             entry.domain());
  facts.episodes = source->size();
  return source;
}

std::shared_ptr<const Source> open_evaluation(const SourceRegistry& registry, const DataEntry& entry, const EntryFacts&) {
  return build_source(registry, entry, Split::kEvaluation);
}

}  // namespace mugato::data
