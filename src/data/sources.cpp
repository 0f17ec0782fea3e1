#include "mugato/data/sources.h"

#include <algorithm>

#include "mugato/core/error.h"
#include "mugato/core/text.h"
#include "mugato/data/held_out.h"
#include "mugato/data/world_source.h"
#include "sources/formats.h"

namespace mugato::data {

void declare(KeyTable& keys, const std::string& prefix, DataEntry& entry) {
  keys.add(prefix + "source", &entry.source,
           "where episodes come from: four_rooms, point_maze, shapes_qa, stories, a format (mugato data sources), or a "
           "registered name",
           not_empty());
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
  declare(keys, prefix, entry.reading);
  keys.add_named_tables(prefix + "fields", &entry.fields, "fields declared anew, by name");
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

void declare(KeyTable& keys, const std::string& prefix, ReadingOptions& options) {
  keys.add(prefix + "path", &options.path, "file, folder, pattern or URL to read");
  keys.add(prefix + "held_out", &options.held_out, "share of the episodes that is kept for evaluation, every k-th",
           range(0, 0.5));
  keys.add(prefix + "text", &options.text, "which text: field of JSON, column, or extension of a tar's members");
  keys.add(prefix + "documents", &options.documents, "what is one document of a plain text file",
           one_of({"file", "line", "blank_line"}));
  keys.add(prefix + "images", &options.images, "folder of the images");
  keys.add(prefix + "captions", &options.captions, "file of the captions");
  keys.add(prefix + "questions", &options.questions, "file of the questions");
  keys.add(prefix + "annotations", &options.annotations, "file of the answers");
  keys.add(prefix + "tokenizer", &options.tokenizer, "tokenizer that made the token ids; another than the run's is an error");
  keys.add(prefix + "token_type", &options.token_type, "type of the ids in a file without a header",
           one_of({"auto", "uint16", "uint32"}));
  keys.add(prefix + "end_of_text", &options.end_of_text, "id that ends or begins documents; -1: what the format's writers use",
           at_least(-1));
  keys.add(prefix + "cameras", &options.cameras, "which of several image fields; empty: all");
}

bool SourceHelp::takes(const std::string& key) const { return std::find(keys.begin(), keys.end(), key) != keys.end(); }

void SourceRegistry::add(const std::string& name, Builder builder, SourceHelp help) {
  Registry::add(name, std::move(builder));
  help_.emplace(name, std::move(help));
}

const SourceHelp& SourceRegistry::help(const std::string& name) const { return help_.at(name); }

namespace {

void check_keys(const DataEntry& entry, const SourceHelp& help) {
  ReadingOptions options;
  KeyTable keys;
  declare(keys, "", options);  // with the defaults
  options = entry.reading;
  for (const auto& key : keys.descriptions())
    if (key.value != key.default_value && !help.takes(key.name))
      throw Error("the data source '" + entry.source + "' has no use for the key '" + key.name + "'",
                  help.keys.empty() ? "leave it out" : "it takes: " + comma_separated(help.keys));
}

}  // namespace

std::unique_ptr<Source> build_source(const SourceRegistry& registry, const DataEntry& entry, Split split) {
  if (registry.has(entry.source)) check_keys(entry, registry.help(entry.source));
  auto source = registry.build(entry.source, entry, split);
  if (registry.help(entry.source).takes("held_out")) source = divide(std::move(source), entry.reading.held_out, split);
  return with_fields(std::move(source), entry.fields);
}

void add_world(SourceRegistry& registry, const std::string& name, env::EnvironmentRegistry::Builder builder) {
  registry.add(name,
               [name, builder = std::move(builder)](const DataEntry&, Split split) {
                 return std::make_unique<WorldSource>(name, builder, split);
               },
               {"the world's expert, a new episode for every draw", {}});
}

void add_missing(SourceRegistry& registry, const std::string& name, const std::string& library, const std::string& package) {
  registry.add(name,
               [name, library, package](const DataEntry&, Split) -> std::unique_ptr<Source> {
                 throw Error("the data source '" + name + "' needs " + library + ", and this mugato was built without it",
                             "install " + package + " (tools/setup does) and build again");
               },
               {"not in this build: it needs " + library + " (" + package + ")", {}});
}

void register_builtins(SourceRegistry& registry, const env::EnvironmentRegistry& worlds) {
  for (const auto& name : worlds.names()) add_world(registry, name, [&worlds, name] { return worlds.build(name); });
  registry.add("stories", [](const DataEntry&, Split split) { return std::make_unique<StoriesSource>(split); },
               {"short stories of a known grammar, a new one for every draw", {}});
  add_minari(registry);
  add_webdataset(registry);
  add_images(registry);
  add_vqa(registry);
  add_text(registry);
  add_tokens(registry);
  add_jat(registry);
  add_lerobot(registry);
}

}  // namespace mugato::data
