// Episodes to documents: windows on whole timesteps that fit into the context.
#pragma once

#include <memory>
#include <vector>

#include "mugato/core/random.h"
#include "mugato/data/source.h"
#include "mugato/seq/sequencer.h"

namespace mugato::data {

// Cuts the episodes of one [[data]] entry.
class WindowCutter {
 public:
  struct Options {
    int64_t context = 1024;  // most tokens of a document
    int64_t max_steps = 0;   // most timesteps; 0: as many as fit
    int64_t domain = 0;
  };
  WindowCutter(std::shared_ptr<const Schema> schema, Options options, const Tokenizer& tokenizer, const Sequencer& sequencer);

  // The whole episode where it fits; else a window that starts at random, every timestep equally likely to be in it (paper
  // 2.3): the longest from there on. Text longer than the context is cut at a random token.
  Sample random(const Episode& episode, Random& random) const;

  // The whole episode as windows one after the other: for evaluation.
  std::vector<Sample> all(const Episode& episode) const;

 private:
  // The longest length of a window from `start` on; throws Error when not even one timestep fits. Text documents always fit.
  int64_t longest(const Episode& episode, const std::vector<int64_t>& tokens, int64_t start) const;
  Sample sample(const Episode& episode, Window window) const;
  Sample crop_text(Sample sample, int64_t start) const;
  bool is_text_document() const { return schema_->fields.size() == 1 && schema_->fields[0].role == Role::kText; }

  std::shared_ptr<const Schema> schema_;
  Options options_;
  const Tokenizer& tokenizer_;
  const Sequencer& sequencer_;
};

}  // namespace mugato::data
