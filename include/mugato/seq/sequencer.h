// Timesteps to documents in rows: order within the timestep, separator, end, targets (paper 2.1, 2.3).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "mugato/core/random.h"
#include "mugato/seq/layout.h"
#include "mugato/seq/timesteps.h"

namespace mugato {

struct SequencerOptions {
  bool text_observations = false;  // whether text observations (a mission, a question) are targets too
};

// A document to be: one window of one episode, of the [[data]] entry `domain`.
struct Sample {
  std::shared_ptr<const Schema> schema;
  Timesteps timesteps;
  int64_t domain = 0;
};

class Sequencer {
 public:
  Sequencer(Vocabulary vocabulary, SequencerOptions options) : vocabulary_(std::move(vocabulary)), options_(options) {}

  // Tokens of the document, separators and end included.
  int64_t num_tokens(const Sample& sample) const;

  // Separators and ends that `timesteps` make beside the tokens of their fields.
  int64_t num_extra_tokens(const Schema& schema, int64_t num_steps, bool ends) const;

  // A whole document: every timestep as observations, separator, then actions, answers and text; at its end, when the episode
  // ends there with an answer or text, the end id, which is a target. `random` draws the patches' position buckets for
  // training; null takes the rounded mean of evaluation (paper C.3).
  void write(const Sample& sample, LayoutBuilder& builder, Random* random) const;

  // The two halves of timestep e, for acting: what the agent reads (with the separator), and what it wrote.
  void write_observations(const Schema& schema, const Timesteps& timesteps, int64_t e, LayoutBuilder& builder,
                          Random* random) const;
  void write_targets(const Schema& schema, const Timesteps& timesteps, int64_t e, LayoutBuilder& builder) const;

  // One row per span of samples, each at most `capacity` tokens.
  MicroBatch lay_out(std::span<const std::vector<Sample>> rows, int64_t capacity, int64_t num_domains,
                     std::span<Random> randoms = {}) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  void write_field(const FieldSpec& field, const FieldTokens& tokens, int64_t e, LayoutBuilder& builder, Random* random) const;

  Vocabulary vocabulary_;
  SequencerOptions options_;
};

// Whether documents of this schema close with the end id: those that end in text, so that the model learns where to stop.
bool closes_with_end(const Schema& schema);

}  // namespace mugato
