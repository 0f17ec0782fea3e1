#include "mugato/data/documents.h"

#include "mugato/data/decorator.h"

namespace mugato::data {
namespace {

std::shared_ptr<const Schema> validated(const Schema& schema, const Tokenizer& tokenizer) {
  validate(schema, tokenizer.vocabulary());
  return std::make_shared<const Schema>(schema);
}

// Throws Error for keys that do not go together, or do not suit the source.
void check(const DataEntry& entry, const Source& source) {
  const std::string where = "[[data]] entry '" + entry.domain() + "': ";
  if (entry.prompt_share > 0.0 && entry.pairs > 1)
    throw Error(where + "prompt_share and pairs are both set", "prompts are for episodes, pairs for single timesteps");
  if (source.schema().is_text_document() && (entry.prompt_share > 0.0 || entry.pairs > 1))
    throw Error(where + "prompt_share and pairs are not for text documents", "leave both out");
  if (entry.pairs > source.size())
    throw Error(
        where + "pairs is " + std::to_string(entry.pairs) + ", and there are " + std::to_string(source.size()) + " episodes",
        "set it to that number at most");
}

}  // namespace

DocumentMaker::DocumentMaker(DataEntry entry, std::shared_ptr<const Source> source, const Tokenizer& tokenizer,
                             const Sequencer& sequencer, Options options)
    : entry_(std::move(entry)),
      source_(std::move(source)),
      options_(options),
      schema_(validated(source_->schema(), tokenizer)),
      sequencer_(sequencer),
      cutter_(schema_,
              {.context = options.context, .max_steps = entry_.max_steps, .domain = options.domain, .patches = options.patches},
              tokenizer, sequencer) {
  check(entry_, *source_);
}

int64_t DocumentMaker::another(int64_t episode, Random& random) const {
  if (source_->size() == 1) return episode;
  const int64_t drawn = random.below(source_->size() - 1);
  return drawn < episode ? drawn : drawn + 1;
}

Sample DocumentMaker::window(int64_t number, int64_t episode) const {
  Random random(hash_key(options_.seed, 0x77696e0a, number)), choice(hash_key(options_.seed, 0x70726f6d, number));
  const auto raw = source_->get(episode);
  if (!choice.chance(entry_.prompt_share)) return cutter_.random(raw, random);
  const int64_t once = sequencer_.num_extra_tokens(*schema_, 0);
  const auto most = static_cast<int64_t>(entry_.prompt_fraction * static_cast<double>(options_.context));
  const int64_t room = std::min(most, options_.context + once - cutter_.longest_step(raw));
  const auto other = source_->get(another(episode, choice));
  const bool from_end = choice.chance(0.5);
  const auto prompt = cutter_.prompt(other, room, from_end, choice);
  if (!prompt) return cutter_.random(raw, random);
  auto whole = cutter_.random(raw, random, options_.context + once - sequencer_.num_tokens(*prompt));
  whole.prompt_steps = prompt->timesteps.num_steps;
  whole.prompt_loss = entry_.prompt_loss;
  const std::vector<Timesteps> parts{prompt->timesteps, std::move(whole.timesteps)};
  whole.timesteps = concatenate(parts);
  return whole;
}

Sample DocumentMaker::pair(int64_t index) const {
  const auto episode = source_->get(index);
  if (episode.num_steps != 1)
    throw Error(episode.id + " has " + std::to_string(episode.num_steps) + " timesteps",
                "pairs are episodes of one timestep: leave out the key pairs");
  return cutter_.all(episode).front();
}

void DocumentMaker::join_pairs(std::vector<Sample> pairs, std::vector<Sample>& documents) const {
  const int64_t once = sequencer_.num_extra_tokens(*schema_, 0);
  for (size_t first = 0, next = 0; first < pairs.size(); first = next) {
    std::vector<Timesteps> parts;
    for (int64_t tokens = once; next < pairs.size(); ++next) {
      tokens += sequencer_.num_tokens(pairs[next]) - once;
      if (tokens > options_.context) break;
      parts.push_back(pairs[next].timesteps);
    }
    documents.push_back(std::move(pairs[first]));
    documents.back().timesteps = concatenate(parts);
  }
}

DocumentMaker::Made DocumentMaker::make(int64_t number, std::span<const int64_t> episodes) const {
  Made made;
  std::vector<Sample> samples;
  for (const int64_t episode : episodes) {
    try {
      samples.push_back(entry_.pairs > 1 ? pair(episode) : window(number, episode));
    } catch (const Error& error) {
      if (!entry_.skips_broken()) throw of_entry(entry_.domain(), error);
      if (++made.num_broken == 1) made.problem = error.what();
    }
  }
  if (entry_.pairs > 1) join_pairs(std::move(samples), made.documents);
  else made.documents = std::move(samples);
  return made;
}

}  // namespace mugato::data
