// Episodes to documents: windows on whole timesteps that fit into the context.
#pragma once

#include <memory>
#include <optional>
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
    Tokenizer::Patches patches = Tokenizer::Patches::kCut;
  };
  WindowCutter(std::shared_ptr<const Schema> schema, Options options, const Tokenizer& tokenizer, const Sequencer& sequencer);

  // Both throw Error that names the episode when it has no timestep, or one that alone is longer than the context: left out,
  // it would never be missed. A blank text is a document of separator and end.

  // The whole episode where it fits; else a window at random, every timestep equally likely to be in it (paper 2.3): the
  // longest from its start on, or, of the windows that hold the first timestep, a shorter one. Text longer than the context
  // is cut at a random token; a part that does not begin the text has no separator, so that its first token is no target.
  Sample random(const Episode& episode, Random& random) const { return this->random(episode, random, options_.context); }

  // The same in `room` tokens, after a prompt.
  Sample random(const Episode& episode, Random& random, int64_t room) const;

  // A demonstration of at most `room` tokens (paper 2.3): the end of the episode, or a window as random() draws it. Nothing
  // where a timestep alone is longer. Not for text documents.
  std::optional<Sample> prompt(const Episode& episode, int64_t room, bool from_end, Random& random) const;

  // Tokens of the longest timestep as a document of its own.
  int64_t longest_step(const Episode& episode) const;

  // The whole episode as windows one after the other: for evaluation. Parts of a long text overlap by a token, so that every
  // token of it is a target once.
  std::vector<Sample> all(const Episode& episode) const;

  // Where all() cuts an episode of timesteps; of a text, the whole.
  std::vector<Window> windows(const Episode& episode) const;

 private:
  // The longest window from each timestep on; empty where the timestep alone does not fit. Text documents always fit.
  std::vector<Window> longest_windows(const Episode& episode, int64_t room) const;
  std::vector<int64_t> document_tokens(const Episode& episode) const;  // of each timestep as a document of its own
  void check_fits(const Episode& episode, const std::vector<Window>& windows) const;
  void check_steps(const Episode& episode) const;
  Sample sample(const Episode& episode, Window window) const;
  Sample crop_text(Sample sample, int64_t start) const;

  std::shared_ptr<const Schema> schema_;
  Options options_;
  const Tokenizer& tokenizer_;
  const Sequencer& sequencer_;
};

}  // namespace mugato::data
