#include "mugato/run/config.h"

#include <map>

#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/core/text.h"

namespace mugato::run {
namespace {

struct Preset {
  int64_t blocks, heads, width, ffn_width;
  const char* activation;
  bool global_positions, tied_head;
  double stochastic_depth;
  int64_t text_size;
};

const std::map<std::string, Preset>& presets() {
  // gato-*: sizes of paper C.1, table 5, GEGLU at full width, head not tied; stochastic depth of appendix D, text ids of 2.1.
  static const std::map<std::string, Preset> all = {
      {"gato-79m", {8, 24, 768, 3072, "geglu", false, false, 0.1, 32000}},
      {"gato-364m", {12, 12, 1536, 6144, "geglu", false, false, 0.1, 32000}},
      {"gato-1.2b", {24, 16, 2048, 8192, "geglu", false, false, 0.1, 32000}},
      {"gpt2-124m", {12, 12, 768, 3072, "gelu_tanh", true, true, 0.0, 0}},
      {"tiny", {2, 2, 64, 128, "geglu", false, false, 0.0, 0}},
      {"small", {3, 8, 128, 256, "geglu", false, false, 0.0, 0}},
      {"medium", {6, 8, 256, 512, "geglu", false, false, 0.0, 0}},
  };
  return all;
}

void declare(KeyTable& keys, TokenOptions& tokens) {
  keys.add("tokens.text", &tokens.text,
           "the run's one text tokenizer (paper: 32000 pieces): a SentencePiece model, a tokenizer.json of byte-level BPE, "
           "GPT-2's vocab.json beside its merges.txt, or a folder with one of them; empty: no text");
  keys.add("tokens.text_size", &tokens.text_size,
           "ids for text, as many as the text tokenizer has pieces; 0: whatever it has (gato presets: 32000, as the paper)",
           range(0, 1 << 24));
  keys.add("tokens.num_continuous", &tokens.num_continuous, "bins of continuous values in [-1, 1]", range(2, 1 << 20));
  keys.add("tokens.num_discrete", &tokens.num_discrete, "ids for discrete values", range(2, 1 << 20));
  keys.add("tokens.discrete_range", &tokens.discrete_range,
           "separate: discrete values have ids of their own; paper: they share [0, 1024) with text",
           one_of({"separate", "paper"}));
}

void declare(KeyTable& keys, ModelOptions& model) {
  auto& sequence = model.agent.sequence;
  auto& embedder = model.agent.embedder;
  keys.add("model.preset", &model.preset, "sizes to start from; keys of the file win: " + comma_separated(preset_names()));
  keys.add("model.trunk", &model.agent.trunk, "sequence model: transformer, or a registered name", not_empty());
  keys.add("model.width", &sequence.width, "width D of the trunk", range(8, 65536));
  keys.add("model.blocks", &sequence.blocks, "transformer blocks", range(0, 1024));
  keys.add("model.heads", &sequence.heads, "attention heads; they share the width", range(1, 1024));
  keys.add("model.ffn_width", &sequence.ffn_width, "hidden size of the feed-forward layer", range(1, 1 << 20));
  keys.add("model.activation", &sequence.activation, "of the feed-forward layer", one_of({"gelu", "gelu_tanh", "geglu"}));
  keys.add("model.geglu_split", &sequence.geglu_split,
           "value and gate share ffn_width, halving both (the paper leaves it open)");
  keys.add("model.dropout", &sequence.dropout, "dropout of residuals and attention", range(0, 0.99));
  keys.add("model.stochastic_depth", &sequence.stochastic_depth, "probability of leaving out a sub-layer (paper: 0.1)",
           range(0, 0.99));
  keys.add("model.global_positions", &sequence.global_positions, "learned positions in the document, as GPT-2 has them");
  keys.add("model.tied_head", &model.agent.tied_head, "the head is the embedding table");
  keys.add("model.patch_channels", &embedder.patch_channels, "channels of the patch's ResNet block, a multiple of 32",
           range(32, 4096));
  keys.add("model.patch_stride", &embedder.patch_stride, "kernel and stride of the block's stem",
           satisfies<int64_t>("1, 2, 4, 8 or 16", [](int64_t s) { return s > 0 && 16 % s == 0; }));
  keys.add("model.patch_position", &embedder.patch_position, "paper: rows and columns in 128 buckets; vit: learned per index",
           one_of({"paper", "vit", "none"}));
  keys.add("model.local_position", &embedder.local_position, "paper: learned within the timestep, actions share one",
           one_of({"paper", "none"}));
  keys.add("model.init_std", &model.agent.init_std,
           "standard deviation of embeddings at the start; 0: 1, or 0.02 where they are the head, too", at_least(0));
}

void check(const RunConfig& config, const std::string& origin) {
  if (config.mixture.weights != "temperature" && config.mixture.temperature != data::MixtureOptions().temperature)
    throw Error(origin + ": mixture.temperature is set and mixture.weights is \"" + config.mixture.weights + "\"",
                "a temperature needs mixture.weights = \"temperature\"");
  if (config.data.empty())
    throw Error(origin + ": no [[data]] entry", "add one, for example: [[data]] with source = \"four_rooms\"");
  std::map<std::string, int> seen;
  for (const auto& entry : config.data)
    if (++seen[entry.domain()] == 2)
      throw Error(origin + ": two [[data]] entries are named '" + entry.domain() + "'",
                  "give them different names: name = \"...\"");
}

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& [name, preset] : presets()) names.push_back(name);
  return names;
}

std::vector<std::string> preset_assignments(const std::string& name) {
  const auto found = presets().find(name);
  if (found == presets().end())
    throw Error("model.preset is '" + name + "'", "did you mean '" + nearest_name(name, preset_names()) + "'?");
  const Preset& p = found->second;
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  return {"model.blocks=" + std::to_string(p.blocks),
          "model.heads=" + std::to_string(p.heads),
          "model.width=" + std::to_string(p.width),
          "model.ffn_width=" + std::to_string(p.ffn_width),
          std::string("model.activation=") + p.activation,
          std::string("model.global_positions=") + flag(p.global_positions),
          std::string("model.tied_head=") + flag(p.tied_head),
          "model.stochastic_depth=" + std::to_string(p.stochastic_depth),
          "tokens.text_size=" + std::to_string(p.text_size)};
}

KeyTable keys_of(RunConfig& config) {
  KeyTable keys;
  keys.add("run.out", &config.out, "folder of the run: configuration, metrics, checkpoints", not_empty());
  keys.add("run.seed", &config.seed, "seed of weights, data order and dropout", at_least(0));
  keys.add("run.device", &config.device, "auto takes a GPU where there is one", one_of({"auto", "cpu", "cuda"}));
  declare(keys, config.tokens);
  declare(keys, config.model);
  keys.add("loss.text_observations", &config.loss.text_observations,
           "text observations (a mission, a question) are targets too");
  declare(keys, "train.", config.train);
  declare(keys, "optim.", config.optim);
  declare(keys, "dist.", config.group);
  declare(keys, "dist.", config.reducer);
  keys.add("act.temperature", &config.act.temperature, "of drawing actions; 0: the most likely", at_least(0));
  keys.add("act.sessions", &config.act.sessions, "episodes played side by side", range(1, 4096));
  keys.add("eval.documents", &config.eval_documents, "held-out episodes per [[data]] entry that an evaluation reads",
           at_least(1));
  declare(keys, "mixture.", config.mixture);
  keys.add_tables("data", &config.data, "sources that are mixed, one table each");
  return keys;
}

RunConfig parse_config(const std::string& toml, const std::string& origin, const std::vector<std::string>& assignments) {
  // The preset lies below the file: find its name first, then read everything over it.
  RunConfig config;
  {
    auto keys = keys_of(config);
    keys.read_toml(toml, origin);
    for (const auto& assignment : assignments) keys.set(assignment);
  }
  if (!config.model.preset.empty()) {
    RunConfig over;
    auto keys = keys_of(over);
    for (const auto& assignment : preset_assignments(config.model.preset)) keys.set(assignment);
    keys.read_toml(toml, origin);
    for (const auto& assignment : assignments) keys.set(assignment);
    config = over;
  }
  config.model.agent.sequence.context = config.train.context;
  check(config, origin);
  return config;
}

RunConfig read_config(const std::string& path, const std::vector<std::string>& assignments) {
  return parse_config(read_file(path), path, assignments);
}

}  // namespace mugato::run
