#include "mugato/data/sources.h"

#include "mugato/data/world_source.h"

namespace mugato::data {

void declare(KeyTable& keys, const std::string& prefix, DataEntry& entry) {
  keys.add(prefix + "source", &entry.source,
           "where episodes come from: four_rooms, point_maze, shapes_qa, stories, or a registered name", not_empty());
  keys.add(prefix + "name", &entry.name, "name of the domain in metrics; empty: that of the source");
  keys.add(prefix + "weight", &entry.weight, "share of the draws, relative to the other entries", at_least(0));
  keys.add(prefix + "loss_weight", &entry.loss_weight, "weight of a target of this entry in the loss", at_least(0));
  keys.add(prefix + "max_steps", &entry.max_steps, "longest window in timesteps; 0: as many as fit into train.context",
           at_least(0));
  keys.add(
      prefix + "return_filter", &entry.return_filter,
      "least share of the expert's return that an episode to train on has; the expert's is the best mean of 1000 episodes in "
      "a row, or of a tenth of them (paper: 0.8); 0: any",
      range(0, 1));
  keys.add(prefix + "top", &entry.top, "train on this many episodes at most, those of the highest return; 0: on all",
           at_least(0));
  keys.add(
      prefix + "normalize", &entry.normalize,
      "of continuous fields: none: mu-law or limits, as the source says; min_max, quantile: limits of each value are measured "
      "when training starts, and kept with it",
      one_of({"none", "min_max", "quantile"}));
  keys.add(prefix + "normalize_quantile", &entry.normalize_quantile,
           "with normalize = \"quantile\": the share of values beyond each limit, which are clipped", range(0, 0.49));
  keys.add(prefix + "statistics_episodes", &entry.statistics_episodes, "episodes that limits are measured in, at most",
           at_least(1));
  keys.add(prefix + "image_policy", &entry.images.policy,
           "pad: images keep their size; resize: scaled to fit into image_size, the rest black; crop: scaled to cover it, the "
           "middle kept",
           one_of({"pad", "resize", "crop"}));
  keys.add(prefix + "image_size", &entry.images.size, "height and width that resize and crop make",
           satisfies<std::vector<int64_t>>("two sides of 1 to 4096", [](const std::vector<int64_t>& size) {
             return size.empty() || (size.size() == 2 && std::min(size[0], size[1]) >= 1 && std::max(size[0], size[1]) <= 4096);
           }));
  keys.add(prefix + "image_max", &entry.images.max_side,
           "with image_policy = \"pad\": images whose longer side is above this are scaled down to it; 0: none",
           range(0, 1 << 16));
  keys.add(prefix + "reward", &entry.reward, "the reward of the timestep before is an observation, the field reward");
  keys.add(
      prefix + "prompt_share", &entry.prompt_share,
      "share of the documents that begin with a demonstration from another episode, half of them its end, half a window at "
      "random (paper: 0.25)",
      range(0, 1));
  keys.add(prefix + "prompt_fraction", &entry.prompt_fraction,
           "share of train.context that a demonstration may take (the paper leaves it open)", range(0, 1));
  keys.add(prefix + "prompt_loss", &entry.prompt_loss,
           "actions of a demonstration are targets, too (paper: all logged actions)");
  keys.add(prefix + "pairs", &entry.pairs,
           "episodes of one timestep that make one document, a timestep each: image-text pairs (paper: 5)", range(1, 1024));
  keys.add(prefix + "on_bad_sample", &entry.on_bad_sample,
           "error: a sample that can not be made ends the training; skip: it is left out and counted (data/skipped)",
           one_of({"error", "skip"}));
}

std::vector<double> mixture_weights(const MixtureOptions& options, const std::vector<DataEntry>& entries,
                                    const std::vector<int64_t>& sizes) {
  std::vector<double> weights;
  std::vector<std::string> names;
  for (const auto& entry : entries) {
    weights.push_back(entry.weight);
    names.push_back(entry.domain());
  }
  return mixture_weights(options, weights, sizes, names);
}

void add_world(SourceRegistry& registry, const std::string& name, env::EnvironmentRegistry::Builder builder) {
  registry.add(name, [name, builder = std::move(builder)](const DataEntry&, Split split) {
    return std::make_unique<WorldSource>(name, builder, split);
  });
}

void register_builtins(SourceRegistry& registry, const env::EnvironmentRegistry& worlds) {
  for (const auto& name : worlds.names()) add_world(registry, name, [&worlds, name] { return worlds.build(name); });
  registry.add("stories", [](const DataEntry&, Split split) { return std::make_unique<StoriesSource>(split); });
}

}  // namespace mugato::data
