// What is wrong with a source: what `mugato data lint` shows.
#pragma once

#include <string>
#include <vector>

#include "mugato/data/source.h"

namespace mugato::data {

// One kind of defect of one field, however often it comes.
struct Finding {
  // unreadable          the source throws for the episode
  // mismatched_length   a field has another number of timesteps than the episode
  // out_of_range        a discrete value that the schema does not know
  // not_finite          NaN or infinity
  // beyond_space        a continuous action outside of [low, high]
  // constant            a dimension that never changes: it tells nothing
  // empty_text          text without a letter
  // duplicate           an episode with the same values as an earlier one
  std::string kind;
  std::string field;    // empty where the episode as a whole is meant
  int64_t count = 0;    // values (out_of_range, not_finite, beyond_space), dimensions (constant), texts or episodes
  std::string example;  // the first: which episode, and what
};

// Reads the first `num_episodes` of the source, or all when it has fewer; remembers a hash of each and no episode.
std::vector<Finding> lint(const Source& source, int64_t num_episodes);

}  // namespace mugato::data
