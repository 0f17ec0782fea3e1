// The HDF5 file of a Minari data set, while it is written. Compiled where the library was found.
#pragma once

#if MUGATO_HDF5
#include <filesystem>
#include <string>
#include <vector>

#include "mugato/data/source.h"
#include "sources/hdf5.h"

namespace mugato::data {

// One episode as the file gets it. Leaves of the groups "observations" and "actions"; a leaf without a name is its group.
struct MinariEpisode {
  int64_t seed = 0;
  std::vector<Leaf> leaves;
  at::Tensor rewards;         // (N) double
  bool is_truncated = false;  // or else its last timestep terminates it
};

// Throws Error of kind kFailure in the library's words for what the machine cannot write.
class MinariFile {
 public:
  explicit MinariFile(std::filesystem::path path);
  ~MinariFile();
  MinariFile(const MinariFile&) = delete;
  MinariFile& operator=(const MinariFile&) = delete;

  void append(const MinariEpisode& episode);
  void close();  // says what the library held back until now

 private:
  std::filesystem::path path_;
  hdf5::Handle file_;
  int64_t num_episodes_ = 0;
};

}  // namespace mugato::data
#endif
