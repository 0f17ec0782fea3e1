#include "mugato/run/run.h"

#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/core/text.h"
#include "mugato/data/opening.h"
#include "mugato/text/tokenizer.h"

namespace fs = std::filesystem;

namespace mugato::run {
namespace {

// Without a tokenizer and a size, the ids that discrete values share in the paper's range are kept free.
int64_t text_size(const TokenOptions& options, const TextTokenizer* text) {
  if (!text) return options.text_size > 0 ? options.text_size : options.num_discrete;
  if (options.text_size > 0 && options.text_size != text->size())
    throw Error("tokens.text_size is " + std::to_string(options.text_size) + ", and the text tokenizer has " +
                    std::to_string(text->size()) + " pieces",
                "the gato presets ask for the paper's 32000: take such a tokenizer, or go by yours: --set tokens.text_size=0");
  return text->size();
}

Vocabulary make_vocabulary(const TokenOptions& options, const TextTokenizer* text) {
  return Vocabulary({
      .text_size = text_size(options, text),
      .num_continuous = options.num_continuous,
      .num_discrete = options.num_discrete,
      .discrete_range = options.discrete_range == "paper" ? DiscreteRange::kPaper : DiscreteRange::kSeparate,
  });
}

std::shared_ptr<const TextTokenizer> load_text(const TokenOptions& options) {
  if (options.text.empty()) return nullptr;
  return text::load_tokenizer(options.text);
}

Parts assemble(const RunConfig& config, std::shared_ptr<const TextTokenizer> text, const Registries& registries,
               at::Device device) {
  Parts parts{.config = config, .text = std::move(text)};
  const auto vocabulary = make_vocabulary(config.tokens, parts.text.get());
  parts.tokenizer = std::make_shared<Tokenizer>(vocabulary, parts.text);
  parts.sequencer = std::make_shared<Sequencer>(vocabulary, config.loss);
  parts.device = device;
  at::manual_seed(static_cast<uint64_t>(config.seed));
  auto options = config.model.agent;
  options.embedder.vocabulary = vocabulary.size();
  if (device.is_meta()) options.sequence.device = device;
  parts.agent = make_agent(options, registries.sequence_models);
  if (!device.is_meta()) parts.agent->to(device);  // drawn on the CPU, so that a seed means the same weights everywhere
  return parts;
}

// A checkpoint folder itself, or the newest complete one of a run.
fs::path find_checkpoint(const fs::path& run) {
  if (fs::exists(run / "model.safetensors")) return fs::canonical(run);
  if (!fs::exists(run)) throw Error(run.string() + ": no such run", "give the folder that mugato train wrote, its run.out");
  if (const auto newest = CheckpointStore(run, 1, {}).newest()) return *newest;
  throw Error(run.string() + ": no complete checkpoint in it", "train first: mugato train CONFIG");
}

bool same_pieces(const TextTokenizer& a, const TextTokenizer& b) {
  if (a.size() != b.size()) return false;
  for (int64_t id = 0; id < a.size(); ++id)
    if (a.piece(static_cast<int32_t>(id)) != b.piece(static_cast<int32_t>(id))) return false;
  return true;
}

// Token ids that were made before mean what the tokenizer of their making means: it has to be the run's.
void check_tokenizer(const data::DataEntry& entry, const Parts& parts, const Registries& registries) {
  if (!registries.sources.has(entry.source) || !registries.sources.help(entry.source).takes("tokenizer")) return;
  const std::string& made_with = entry.reading.tokenizer;
  if (made_with.empty())
    throw Error("[[data]] entry '" + entry.domain() + "': its files do not say which tokenizer made their ids",
                "say it: tokenizer = \"" + parts.config.tokens.text + "\"");
  if (!parts.text || !same_pieces(*text::load_tokenizer(made_with), *parts.text))
    throw Error("[[data]] entry '" + entry.domain() + "' has ids of the tokenizer " + made_with + ", the run's is " +
                    (parts.text ? parts.config.tokens.text : "none"),
                "one text tokenizer a run: set tokens.text to that one, or make the ids again");
}

data::DataFacts read_facts(const fs::path& checkpoint) {
  const auto path = checkpoint / "data.json";
  return fs::exists(path) ? data::parse_facts(read_file(path), path.string()) : data::DataFacts{};
}

}  // namespace

std::vector<std::string> settable_keys() { return {"act.temperature", "act.sessions", "run.device"}; }

void check_settable(const std::vector<std::string>& assignments, const std::vector<std::string>& settable) {
  for (const auto& assignment : assignments) {
    const auto key = assignment.substr(0, assignment.find('='));
    if (std::find(settable.begin(), settable.end(), key) != settable.end()) continue;
    throw Error("--set " + assignment + " has no effect here: the run is trained already",
                "what can be set: " + comma_separated(settable));
  }
}

Parts Parts::build(const RunConfig& config, const Registries& registries, std::optional<at::Device> device) {
  return assemble(config, load_text(config.tokens), registries, device ? *device : dist::pick_device(config.device));
}

Parts Parts::shapes(const RunConfig& config, const Registries& registries) {
  return assemble(config, load_text(config.tokens), registries, at::kMeta);
}

Parts Parts::load(const fs::path& run, const Registries& registries, const std::vector<std::string>& assignments) {
  const auto checkpoint = find_checkpoint(run);
  const auto config_path = checkpoint / "config.toml";
  const auto config = parse_config(read_file(config_path), config_path.string(), assignments);
  check_settable(assignments, settable_keys());  // after an unknown key was told the nearest one
  std::shared_ptr<const TextTokenizer> text;
  if (const auto path = text::kept_file(checkpoint)) text = text::load_tokenizer(path->string());
  auto parts = assemble(config, std::move(text), registries, dist::pick_device(config.device));
  parts.step = CheckpointStore::load(checkpoint, *parts.agent, nullptr).step;
  parts.checkpoint = checkpoint;
  parts.facts = read_facts(checkpoint);
  parts.agent->eval();
  return parts;
}

std::vector<std::shared_ptr<const data::Source>> Parts::open_training(const Registries& registries,
                                                                      const std::optional<fs::path>& saved) {
  if (saved) facts = read_facts(*saved);
  std::vector<std::shared_ptr<const data::Source>> all;
  for (const auto& entry : config.data) {
    check_tokenizer(entry, *this, registries);
    all.push_back(data::open_training(registries.sources, entry, facts[entry.domain()]));
  }
  return all;
}

data::EntryFacts Parts::facts_of(const std::string& domain) const {
  const auto found = facts.find(domain);
  return found == facts.end() ? data::EntryFacts{} : found->second;
}

std::vector<double> Parts::weights() const {
  std::vector<int64_t> sizes;
  for (const auto& entry : config.data) sizes.push_back(facts_of(entry.domain()).episodes);
  return data::mixture_weights(config.mixture, config.data, sizes);
}

std::vector<std::shared_ptr<const data::Source>> Parts::sources(const Registries& registries, data::Split split) const {
  std::vector<std::shared_ptr<const data::Source>> all;
  for (const auto& entry : config.data) {
    check_tokenizer(entry, *this, registries);
    auto known = facts_of(entry.domain());
    all.push_back(split == data::Split::kTrain ? data::open_training(registries.sources, entry, known)
                                               : data::open_evaluation(registries.sources, entry, known));
  }
  return all;
}

data::LoaderOptions Parts::loader_options(const dist::Group& group) const {
  if (config.train.rows % group.size() != 0)
    throw Error("train.rows is " + std::to_string(config.train.rows) + ", and " + std::to_string(group.size()) +
                    " processes share the rows of a step",
                "set train.rows to a multiple of the processes");
  const int64_t num_lanes = config.train.rows / group.size();
  return {.rows = config.train.rows,
          .first_lane = group.rank() * num_lanes,
          .num_lanes = num_lanes,
          .micro_rows = config.train.micro_rows,
          .context = config.train.context,
          .workers = config.train.workers,
          .seed = static_cast<uint64_t>(config.seed),
          .pin = device.is_cuda(),
          .mixture = config.mixture};
}

act::Policy Parts::policy(const Schema& schema, const std::string& domain, int64_t sessions) const {
  data::DataEntry trained_on;
  for (const auto& entry : config.data)
    if (entry.domain() == domain) trained_on = entry;
  return act::Policy(
      agent, tokenizer, sequencer, data::acting_schema(schema, trained_on, facts_of(domain)), sessions,
      {.context = config.train.context, .max_steps = trained_on.max_steps, .temperature = config.act.temperature});
}

}  // namespace mugato::run
