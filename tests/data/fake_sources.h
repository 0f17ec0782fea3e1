// Sources whose tokens say where they come from.
#pragma once

#include <ATen/ATen.h>

#include <atomic>
#include <stdexcept>

#include "mugato/core/random.h"
#include "mugato/data/source.h"
#include "mugato/seq/sequencer.h"
#include "mugato/token/text_tokenizer.h"

namespace mugato::data {

constexpr int64_t kNumDiscrete = 4096;

// The action of a timestep follows from the episode and the timestep, so that what is out of step is seen.
inline int64_t action_of(int64_t episode, int64_t step) { return (31 * episode + 7 * step + 5) % 1000; }

// Timesteps of four tokens: the episode's index, the timestep, separator, the action.
class ClockSource : public Source {
 public:
  ClockSource(int64_t size, int64_t longest) : size_(size), longest_(longest) {
    schema_.fields = {{.name = "clock", .modality = Modality::kDiscrete, .shape = {2}, .num_values = {kNumDiscrete}},
                      {.name = "move", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {kNumDiscrete}}};
  }
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return size_; }
  int64_t length(int64_t index) const { return 1 + static_cast<int64_t>(hash_key(3, index) % static_cast<uint64_t>(longest_)); }

  Episode get(int64_t index) const override {
    if (index == bad_index) throw std::runtime_error("episode " + std::to_string(index) + " is broken");
    const int64_t number = index % kNumDiscrete;
    Episode episode{.num_steps = length(index), .id = "clock episode " + std::to_string(index)};
    const auto steps = at::arange(episode.num_steps, at::kLong);
    auto actions = at::empty({episode.num_steps}, at::kLong);
    for (int64_t e = 0; e < episode.num_steps; ++e) actions[e] = action_of(number, e);
    episode.fields = {{at::stack({at::full({episode.num_steps}, number, at::kLong), steps}, 1), {}}, {actions, {}}};
    return episode;
  }

  int64_t bad_index = -1;

 private:
  int64_t size_, longest_;
  Schema schema_;
};

// Text documents of random lower-case letters, up to `longest` bytes.
class LetterSource : public Source {
 public:
  explicit LetterSource(int64_t longest) : longest_(longest) {
    schema_.fields = {{.name = "text", .modality = Modality::kText, .role = Role::kText}};
  }
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return kUnbounded; }

  Episode get(int64_t index) const override {
    Random random(hash_key(5, index));
    std::string text(static_cast<size_t>(random.between(1, longest_)), ' ');
    for (auto& letter : text) letter = static_cast<char>('a' + random.below(26));
    Episode episode{.num_steps = 1, .id = "letters " + std::to_string(index)};
    episode.fields = {{{}, {text}}};
    return episode;
  }

 private:
  int64_t longest_;
  Schema schema_;
};

// A byte a token.
class ByteTokenizer : public TextTokenizer {
 public:
  int64_t size() const override { return 256; }
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(const std::vector<int32_t>& ids) const override { return {ids.begin(), ids.end()}; }
  std::string piece(int32_t id) const override { return {static_cast<char>(id)}; }
  std::string serialized() const override { return "bytes"; }
};

inline Vocabulary test_vocabulary() { return Vocabulary({.text_size = 256, .num_discrete = kNumDiscrete}); }

inline std::shared_ptr<const Tokenizer> test_tokenizer() {
  return std::make_shared<Tokenizer>(test_vocabulary(), std::make_shared<ByteTokenizer>());
}

// The ids of the documents of a batch.
inline std::vector<std::vector<int64_t>> documents_of(const MicroBatch& batch) {
  std::vector<std::vector<int64_t>> documents;
  for (const auto& span : batch.layout.documents) {
    const auto ids = batch.layout.ids[span.row].narrow(0, span.begin, span.length);
    documents.emplace_back(ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + span.length);
  }
  return documents;
}

}  // namespace mugato::data
