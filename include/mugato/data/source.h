// Where episodes come from: random access over an index.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "mugato/seq/episode.h"

namespace mugato::data {

class Source {
 public:
  virtual ~Source() = default;

  virtual const Schema& schema() const = 0;

  // Number of episodes; kUnbounded for generators, which make a new one for every index.
  virtual int64_t size() const = 0;

  // The episode at an index in [0, size()). A pure function of the index, callable from several threads at once.
  virtual Episode get(int64_t index) const = 0;

  // The sum of the rewards of an episode. A reader that knows it without reading the episode overrides this.
  virtual double episode_return(int64_t index) const { return get(index).total_return; }

  static constexpr int64_t kUnbounded = INT64_MAX;
};

enum class Split { kTrain, kEvaluation };

}  // namespace mugato::data
