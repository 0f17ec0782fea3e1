// The second struct of the data's way: an episode as tokens, per field (E,T,C).
// Shape legend: E timesteps, T tokens per timestep, C channels: 1 for ids, k for cells of k ids, 768 for patch bytes.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mugato/seq/episode.h"
#include "mugato/token/continuous.h"
#include "mugato/token/image.h"
#include "mugato/token/text_tokenizer.h"
#include "mugato/token/vocabulary.h"

namespace mugato {

struct FieldTokens {
  at::Tensor tokens;  // (E,T,C): int64 vocabulary ids, or uint8 patch bytes with C = 768
  at::Tensor valid;   // (E,T) bool; text differs in length from timestep to timestep, the other modalities are all valid
  std::vector<PatchGrid> grids = {};  // images only: of each timestep
  int64_t num_clipped = 0;            // continuous values outside of the range, among all that were tokenized together

  // Images whose patches are not cut yet, (E,H,W) or (E,H,W,C) uint8, contiguous, in place of `tokens`.
  at::Tensor images = {};

  int64_t num_steps() const { return valid.size(0); }
  int64_t tokens_per_step() const { return valid.size(1); }
  int64_t channels() const { return tokens.size(2); }
};

struct Timesteps {
  std::vector<FieldTokens> fields;  // parallel to the schema's fields
  int64_t num_steps = 0;            // E
  bool starts = true;               // whether the first timestep is the episode's first, from its first token on
  bool ends = true;                 // whether the last timestep is the episode's last, to its last token

  int64_t num_clipped() const;  // of all fields
};

// A contiguous run of timesteps. One for all fields: observations and actions can not come from different times.
struct Window {
  int64_t start = 0, length = 0;
};
Timesteps slice(const Timesteps& timesteps, Window window);

// Timesteps one after the other, as of one episode: texts and images of different sizes share an axis T, with what a timestep
// does not fill not valid. All are of one schema.
Timesteps concatenate(std::span<const Timesteps> parts);
Episode slice(const Episode& episode, Window window);

// Order of fields within a timestep (paper 2.1): text, images, then discrete and continuous values by name; after the
// separator actions, answers and text by name. Indices into schema.fields.
struct StepOrder {
  std::vector<size_t> observations, targets;
};
StepOrder step_order(const Schema& schema);

// Raw values to ids and patch bytes, and decoded values back, by one Vocabulary. Thread-safe.
class Tokenizer {
 public:
  // Without text fields, `text` may be null. Throws Error when its size is not the vocabulary's.
  Tokenizer(Vocabulary vocabulary, std::shared_ptr<const TextTokenizer> text);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const TextTokenizer& text() const;  // throws Error when there is none

  // Whether the patches of images are cut at once, or, where that keeps no more memory, by the Sequencer as it writes them.
  enum class Patches { kCut, kLater };

  // Throws Error that names the field and the episode for values that do not fit the schema, of validated fields.
  Timesteps tokenize(const Schema& schema, const Episode& episode, Patches patches = Patches::kCut) const;
  FieldTokens tokenize(const FieldSpec& field, const FieldValues& values) const;

  // Number of tokens that the fields of each timestep make, separator and end not counted; reads text, touches no image.
  std::vector<int64_t> tokens_per_step(const Schema& schema, const Episode& episode) const;

  // Ids of one timestep of a field to its value: a string, or a tensor of the field's shape.
  Value decode(const FieldSpec& field, const std::vector<int64_t>& ids) const;

  // The ids that are legal for the i-th token of one timestep of an action field.
  IdRange legal_ids(const FieldSpec& field, int64_t i) const;

 private:
  // `name` is what messages call the field.
  FieldTokens tokenize(const FieldSpec& field, const FieldValues& values, const std::string& name, Patches patches) const;
  std::vector<int32_t> ids_of(const std::string& text) const;
  FieldTokens tokenize_text(const std::vector<std::string>& text) const;
  FieldTokens take_ids(const at::Tensor& ids, const std::string& name) const;
  ContinuousCodec continuous_codec(const FieldSpec& field) const;

  Vocabulary vocabulary_;
  std::shared_ptr<const TextTokenizer> text_;
};

// Throws Error that says what is wrong with a field's declaration: values and roles that do not go together (text is
// written as answer or text, values as actions, images and cells are only read), sizes that are not positive, two fields of
// one name, more values than the vocabulary has ids.
void validate(const Schema& schema, const Vocabulary& vocabulary);

}  // namespace mugato
