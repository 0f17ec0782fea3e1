#include "mugato/data/opening.h"

#include "mugato/data/rewards.h"
#include "mugato/data/selection.h"

namespace mugato::data {
namespace {

void check_images(const Schema& schema, const DataEntry& entry) {
  const std::string where = "[[data]] entry '" + entry.domain() + "': ";
  validate(entry.images, where);
  const auto is_image = [](const FieldSpec& field) { return field.modality == Modality::kImage; };
  if (entry.images.changes() && std::none_of(schema.fields.begin(), schema.fields.end(), is_image))
    throw Error(where + "sizes of images are set, and it has no image", "leave out image_policy, image_size and image_max");
}

std::shared_ptr<const Source> shown(std::shared_ptr<const Source> source, const DataEntry& entry) {
  check_images(source->schema(), entry);
  if (entry.images.changes()) source = std::make_shared<ImageSource>(std::move(source), entry.images);
  if (entry.reward) source = std::make_shared<RewardSource>(std::move(source), entry.domain());
  return source;
}

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
  source = shown(std::move(source), entry);
  measure(*source, entry, facts);
  return normalized(std::move(source), entry, facts);
}

std::shared_ptr<const Source> open_evaluation(const SourceRegistry& registry, const DataEntry& entry, const EntryFacts& facts) {
  return normalized(shown(build_source(registry, entry, Split::kEvaluation), entry), entry, facts);
}

Schema shown_schema(const Schema& schema, const DataEntry& entry) {
  auto result = schema;
  if (entry.images.changes()) result = with_images(std::move(result), entry.images);
  if (entry.reward) result = with_reward(std::move(result), entry.domain());
  return result;
}

Schema acting_schema(const Schema& schema, const DataEntry& entry, const EntryFacts& facts) {
  return entry.normalize == "none" ? schema : with_ranges(schema, facts.ranges, entry.domain());
}

}  // namespace mugato::data
