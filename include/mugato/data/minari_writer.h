// Worlds recorded as Minari data sets, which Python's minari package reads, and so does the source "minari".
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "mugato/env/environment.h"

namespace mugato::data {

struct MinariRecording {
  std::filesystem::path folder;  // of the data set: the one that gets data/
  std::string world;             // its name: the set's id is "mugato/<world>/expert-v0"
  int64_t num_episodes = 1;
  uint64_t first_seed = 0;  // episode i is played on train_seed(first_seed + i)
};

struct MinariTotals {
  int64_t num_steps = 0;
  double mean_return = 0.0;
};

// Records the expert's episodes, in HDF5 and without a loss: pixels are stored raw. Observations are a Dict of the fields that
// are read; the field that is written is the action itself, several of them are a Dict. An episode that reaches max_steps()
// without success is truncated, any other terminates. The folder appears whole. Throws Error when it is there already, for a
// field that Minari's spaces cannot hold, and for what demonstrate() throws.
MinariTotals write_minari(env::Environment& world, const MinariRecording& recording);

}  // namespace mugato::data
