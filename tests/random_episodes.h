// Random schemas, episodes and packed rows for property tests: every modality and role, text of varying lengths, patches
// that repeat.
// Shape legend: E timesteps, H height, W width.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

#include "mugato/core/random.h"
#include "mugato/seq/sequencer.h"

namespace mugato::testing {

// One id a letter, of the first `size` letters.
class LetterTokenizer : public TextTokenizer {
 public:
  explicit LetterTokenizer(int64_t size = 20) : size_(size) {}
  int64_t size() const override { return size_; }
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(c - 'a');
    return ids;
  }
  std::string decode(const std::vector<int32_t>& ids) const override {
    std::string text;
    for (const int32_t id : ids) text += piece(id);
    return text;
  }
  std::string piece(int32_t id) const override { return {static_cast<char>('a' + id)}; }
  std::string serialized() const override { return "letters"; }

 private:
  int64_t size_;
};

// Small ranges, so that a model over them is small: 20 letters, 16 bins, 20 discrete values.
inline Vocabulary small_vocabulary(DiscreteRange range = DiscreteRange::kSeparate) {
  return Vocabulary({.text_size = 20, .num_continuous = 16, .num_discrete = 20, .discrete_range = range});
}

inline Tokenizer small_tokenizer(DiscreteRange range = DiscreteRange::kSeparate) {
  return {small_vocabulary(range), std::make_shared<LetterTokenizer>()};
}

inline std::string random_text(Random& random, int64_t shortest, int64_t longest) {
  std::string text(static_cast<size_t>(random.between(shortest, longest)), 'a');
  for (char& c : text) c = static_cast<char>('a' + random.below(20));
  return text;
}

inline FieldSpec random_observation(Random& random) {
  FieldSpec field;
  switch (random.below(5)) {
    case 0:
      field.modality = Modality::kText;
      break;
    case 1:
      field.modality = Modality::kImage;
      break;
    case 2:
      field.modality = Modality::kDiscrete;
      field.num_values = {random.between(1, 20)};
      if (random.chance(0.5)) field.shape = {random.between(1, 3)};
      break;
    case 3:  // cells of 2 or 3 ids
      field = {.modality = Modality::kDiscrete, .shape = {2, 2, random.between(2, 3)}, .cells = true};
      for (int64_t c = 0; c < field.shape.back(); ++c) field.num_values.push_back(random.between(1, 6));
      break;
    default:
      field = {.modality = Modality::kContinuous, .mu_law = random.chance(0.5), .low = {-2.0}, .high = {3.0}};
      if (random.chance(0.5)) field.shape = {random.between(1, 3)};
  }
  return field;
}

inline FieldSpec random_action(Random& random) {
  FieldSpec field{.role = Role::kAction};
  if (random.chance(0.3)) field.shape = {random.between(1, 3)};
  field.modality = random.chance(0.5) ? Modality::kDiscrete : Modality::kContinuous;
  if (field.modality == Modality::kDiscrete) field.num_values = {random.between(1, 20)};
  return field;
}

// A text document, a question that is answered, or control with any observations and up to two actions. Names come in any
// order, a field of images has one size an episode.
inline std::shared_ptr<const Schema> random_schema(Random& random) {
  auto schema = std::make_shared<Schema>();
  const double kind = random.uniform();
  if (kind < 0.15) {
    schema->fields.push_back({.name = "text", .role = Role::kText});
    return schema;
  }
  for (int64_t i = random.between(1, 4); i > 0; --i) schema->fields.push_back(random_observation(random));
  if (kind < 0.35) {
    schema->fields.push_back({.role = Role::kAnswer});
  } else {
    for (int64_t i = random.between(1, 2); i > 0; --i) schema->fields.push_back(random_action(random));
  }
  random.shuffle(std::span(schema->fields));
  std::string letters = "jdbahcgi";
  random.shuffle(std::span(letters));
  for (size_t i = 0; i < schema->fields.size(); ++i) schema->fields[i].name = letters.substr(i, 1);
  return schema;
}

inline FieldValues random_values(Random& random, const FieldSpec& field, int64_t num_steps) {
  FieldValues result;
  std::vector<int64_t> shape{num_steps};
  shape.insert(shape.end(), field.shape.begin(), field.shape.end());
  switch (field.modality) {
    case Modality::kText:
      for (int64_t e = 0; e < num_steps; ++e)
        result.text.push_back(e > 0 && random.chance(0.5) ? result.text.back() : random_text(random, 0, 6));
      if (field.role == Role::kText) result.text.back() = random_text(random, 1, 12);
      return result;
    case Modality::kImage: {
      // Tiles of one of three shades with a dot here and there, so that some patches are equal and some differ.
      const int64_t height = random.between(1, 40), width = random.between(1, 40);
      result.values = at::empty({num_steps, height, width, 3}, at::kByte);
      auto* bytes = result.values.data_ptr<uint8_t>();
      for (int64_t i = 0; i < result.values.numel(); ++i) {
        const int64_t y = i / (3 * width) % height, x = i / 3 % width;
        bytes[i] = random.chance(0.0005) ? 255 : static_cast<uint8_t>((y / 16 + x / 16) % 3 * 80);
      }
      return result;
    }
    case Modality::kDiscrete: {
      result.values = at::empty(shape, at::kLong);
      auto* values = result.values.data_ptr<int64_t>();
      for (int64_t i = 0; i < result.values.numel(); ++i)
        values[i] = random.below(field.num_values[static_cast<size_t>(i) % field.num_values.size()]);
      return result;
    }
    case Modality::kContinuous: {
      result.values = at::empty(shape, at::kFloat);
      auto* values = result.values.data_ptr<float>();
      for (int64_t i = 0; i < result.values.numel(); ++i) values[i] = static_cast<float>(random.uniform(-3.0, 3.0));
      return result;
    }
  }
  TORCH_CHECK(false, "unknown modality");
}

inline Episode random_episode(Random& random, const Schema& schema, int64_t num_steps) {
  Episode episode;
  episode.num_steps = num_steps;
  episode.id = "random episode";
  for (const auto& field : schema.fields) episode.fields.push_back(random_values(random, field, num_steps));
  return episode;
}

// A window of a random episode, that may end before its end. Text documents have one timestep.
inline Sample random_sample(Random& random, const Tokenizer& tokenizer, int64_t domain = 0, int64_t most_steps = 3) {
  const auto schema = random_schema(random);
  const bool document = schema->fields[0].role == Role::kText;
  const auto episode = random_episode(random, *schema, document ? 1 : random.between(1, most_steps));
  Sample sample{schema, tokenizer.tokenize(*schema, episode), domain};
  sample.timesteps.ends = random.chance(0.7);
  return sample;
}

// Rows of whole documents, as many as fit into `capacity` tokens; domains in [0, num_domains).
inline std::vector<std::vector<Sample>> random_rows(Random& random, const Tokenizer& tokenizer, const Sequencer& sequencer,
                                                    int64_t num_rows, int64_t capacity, int64_t num_domains = 1) {
  std::vector<std::vector<Sample>> rows(static_cast<size_t>(num_rows));
  for (auto& row : rows)
    for (int64_t room = capacity, tries = 0; tries < 3; ++tries) {
      auto sample = random_sample(random, tokenizer, random.below(num_domains));
      const int64_t length = sequencer.num_tokens(sample);
      if (length > room) continue;
      room -= length;
      row.push_back(std::move(sample));
    }
  return rows;
}

}  // namespace mugato::testing
