#include "mugato/data/documents.h"

#include "mugato/data/decorator.h"

namespace mugato::data {
namespace {

std::shared_ptr<const Schema> validated(const Schema& schema, const Tokenizer& tokenizer) {
  validate(schema, tokenizer.vocabulary());
  return std::make_shared<const Schema>(schema);
}

}  // namespace

DocumentMaker::DocumentMaker(DataEntry entry, std::shared_ptr<const Source> source, const Tokenizer& tokenizer,
                             const Sequencer& sequencer, Options options)
    : entry_(std::move(entry)),
      source_(std::move(source)),
      options_(options),
      schema_(validated(source_->schema(), tokenizer)),
      cutter_(schema_, {.context = options.context, .max_steps = entry_.max_steps, .domain = options.domain}, tokenizer,
              sequencer) {}

Sample DocumentMaker::document(int64_t number, int64_t episode) const {
  Random random(hash_key(options_.seed, 0x77696e0a, number));
  return cutter_.random(source_->get(episode), random);
}

DocumentMaker::Made DocumentMaker::make(int64_t number, int64_t episode) const {
  Made made;
  try {
    made.documents.push_back(document(number, episode));
  } catch (const Error& error) {
    if (!entry_.skips_broken()) throw of_entry(entry_.domain(), error);
    ++made.num_broken;
    made.problem = error.what();
  }
  return made;
}

}  // namespace mugato::data
