// A source in numbers: what `mugato data stats` shows.
#pragma once

#include <string>
#include <vector>

#include "mugato/data/source.h"
#include "mugato/data/windows.h"

namespace mugato::data {

// Mean and spread of numbers that come one by one; std is of the population.
class Summary {
 public:
  void add(double value);
  int64_t count() const { return count_; }
  double mean() const { return mean_; }
  double std() const;
  double min() const { return min_; }
  double max() const { return max_; }

 private:
  int64_t count_ = 0;
  double mean_ = 0.0, squares_ = 0.0, min_ = 0.0, max_ = 0.0;
};

struct FieldStats {
  std::string name;
  std::vector<Summary> dimensions;     // continuous: finite values of each dimension of a timestep
  std::vector<double> clipped;         // continuous: share of each dimension's values that the bins' range cuts off
  std::vector<int64_t> num_per_value;  // discrete actions: how often each value was taken
};

struct SourceStats {
  int64_t num_episodes = 0, num_steps = 0;
  int64_t num_tokens = 0;   // of all timesteps, separators and ends included
  int64_t num_windows = 0;  // of whole timesteps, one after the other, as evaluation cuts them
  Summary returns;
  std::vector<FieldStats> fields;  // parallel to the schema's

  double tokens_per_step() const { return static_cast<double>(num_tokens) / static_cast<double>(num_steps); }
  double steps_per_window() const { return static_cast<double>(num_steps) / static_cast<double>(num_windows); }
};

// Reads the first `num_episodes` of the source, or all when it has fewer. Throws Error for what cannot be read.
SourceStats measure(const Source& source, const Tokenizer& tokenizer, const Sequencer& sequencer,
                    const WindowCutter::Options& options, int64_t num_episodes);

}  // namespace mugato::data
