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

// A document to be, of the [[data]] entry `domain`: a window of an episode, maybe after a demonstration from another one.
struct Sample {
  std::shared_ptr<const Schema> schema;
  Timesteps timesteps;
  int64_t domain = 0;
  int64_t prompt_steps = 0;  // timesteps at the start that are the demonstration
  bool prompt_loss = true;   // whether what is written in them is a target, too
};

class Sequencer {
 public:
  Sequencer(Vocabulary vocabulary, SequencerOptions options) : vocabulary_(std::move(vocabulary)), options_(options) {}

  // Tokens of the document, separators and end included.
  int64_t num_tokens(const Sample& sample) const;

  // Separators and ends that `num_steps` whole timesteps make beside the tokens of their fields.
  int64_t num_extra_tokens(const Schema& schema, int64_t num_steps) const;

  // A whole document: every timestep as observations, separator, then actions, answers and text. After every answer and text
  // comes the end id, which is a target: where to stop is learned in every timestep. A text document that is cut has the
  // separator only with its beginning and the end id only with its end. `random` draws the patches' position buckets for
  // training; null takes the rounded mean of evaluation (paper C.3).
  void write(const Sample& sample, LayoutBuilder& builder, Random* random) const;

  // A document whose first token is a text observation and a target begins with a separator, which predicts it. The separator
  // takes no local position of the timestep.
  bool starts_with_separator(const Schema& schema) const;
  void write_start(const Schema& schema, LayoutBuilder& builder) const;

  // The two halves of timestep e, for acting: what the agent reads (with the separator), and what it wrote (with the ends).
  // Without `trained`, none of it is a target.
  void write_observations(const Schema& schema, const Timesteps& timesteps, int64_t e, LayoutBuilder& builder, Random* random,
                          bool trained = true) const;
  void write_targets(const Schema& schema, const Timesteps& timesteps, int64_t e, LayoutBuilder& builder,
                     bool trained = true) const;

  // One row per span of samples, each at most `capacity` tokens.
  MicroBatch lay_out(std::span<const std::vector<Sample>> rows, int64_t capacity, int64_t num_domains,
                     std::span<Random> randoms = {}) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }

 private:
  bool is_target(const FieldSpec& field) const;
  void write_observations(const Schema& schema, const StepOrder& order, const Timesteps& timesteps, int64_t e,
                          LayoutBuilder& builder, Random* random, bool trained) const;
  void write_targets(const Schema& schema, const StepOrder& order, const Timesteps& timesteps, int64_t e,
                     LayoutBuilder& builder, bool trained) const;
  void write_field(const FieldSpec& field, const FieldTokens& tokens, int64_t e, LayoutBuilder& builder, Random* random,
                   bool trained) const;

  Vocabulary vocabulary_;
  SequencerOptions options_;
};

}  // namespace mugato
