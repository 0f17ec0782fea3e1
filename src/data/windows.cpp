#include "mugato/data/windows.h"

#include "mugato/core/error.h"

namespace mugato::data {

WindowCutter::WindowCutter(std::shared_ptr<const Schema> schema, Options options, const Tokenizer& tokenizer,
                           const Sequencer& sequencer)
    : schema_(std::move(schema)), options_(options), tokenizer_(tokenizer), sequencer_(sequencer) {}

int64_t WindowCutter::longest(const Episode& episode, const std::vector<int64_t>& tokens, int64_t start) const {
  if (is_text_document()) return 1;
  const int64_t most = options_.max_steps > 0 ? options_.max_steps : episode.num_steps;
  int64_t length = 0, sum = 0, with_extra = 0;
  while (length < most && start + length < episode.num_steps) {
    sum += tokens[static_cast<size_t>(start + length)];
    const bool ends = start + length + 1 == episode.num_steps;
    with_extra = sum + sequencer_.num_extra_tokens(*schema_, length + 1, ends);
    if (with_extra > options_.context) break;
    ++length;
  }
  if (length == 0)
    throw Error(episode.id + ": timestep " + std::to_string(start) + " alone has " + std::to_string(with_extra) +
                    " tokens, train.context is " + std::to_string(options_.context),
                "raise train.context or make the observations smaller");
  return length;
}

Sample WindowCutter::sample(const Episode& episode, Window window) const {
  Sample sample{schema_, tokenizer_.tokenize(*schema_, slice(episode, window)), options_.domain};
  sample.timesteps.ends = window.start + window.length == episode.num_steps;
  return sample;
}

// Keeps the separator before a text document; the end id only where the document ends.
Sample WindowCutter::crop_text(Sample sample, int64_t start) const {
  auto& field = sample.timesteps.fields[0];
  const int64_t length = std::min(options_.context - 2, field.tokens_per_step() - start);
  sample.timesteps.ends = start + length == field.tokens_per_step();
  field.tokens = field.tokens.narrow(1, start, length);
  field.valid = field.valid.narrow(1, start, length);
  return sample;
}

Sample WindowCutter::random(const Episode& episode, Random& random) const {
  if (is_text_document()) {
    auto document = sample(episode, {0, 1});
    const int64_t excess = document.timesteps.fields[0].tokens_per_step() + 2 - options_.context;
    return excess > 0 ? crop_text(std::move(document), random.between(0, excess)) : document;
  }
  const auto tokens = tokenizer_.tokens_per_step(*schema_, episode);
  // Starting up to a window before the episode makes its first and last timesteps as likely as the others.
  const int64_t whole = longest(episode, tokens, 0);
  if (whole == episode.num_steps) return sample(episode, {0, whole});
  int64_t start = random.between(1 - whole, episode.num_steps - 1), length = whole;
  if (start < 0) {
    length += start;
    start = 0;
  }
  return sample(episode, {start, std::min(length, longest(episode, tokens, start))});
}

std::vector<Sample> WindowCutter::all(const Episode& episode) const {
  std::vector<Sample> samples;
  if (is_text_document()) {
    const auto document = sample(episode, {0, 1});
    const int64_t total = document.timesteps.fields[0].tokens_per_step();
    for (int64_t start = 0; start == 0 || start < total; start += options_.context - 2)
      samples.push_back(crop_text(document, start));
    return samples;
  }
  const auto tokens = tokenizer_.tokens_per_step(*schema_, episode);
  for (int64_t start = 0, length; start < episode.num_steps; start += length) {
    length = longest(episode, tokens, start);
    samples.push_back(sample(episode, {start, length}));
  }
  return samples;
}

}  // namespace mugato::data
