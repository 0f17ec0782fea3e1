// The two forms of a Minari data set's episodes, HDF5 and Arrow (or Parquet), as columns of what the files hold.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "column_values.h"
#include "minari_spaces.h"

namespace mugato::data {

struct MinariLeaf {
  std::string top;  // "observations", "actions", "rewards", ...
  std::vector<SpaceLeaf::Key> path = {};
  std::vector<int64_t> shape = {};  // of one row, by the space

  std::string name() const { return path.empty() ? top : top + "/" + SpaceLeaf{.path = path}.name(); }

  // Of an episode of so many timesteps: observations have one more.
  int64_t num_rows(int64_t num_steps) const { return num_steps + (top == "observations" ? 1 : 0); }
};

class MinariStorage {
 public:
  virtual ~MinariStorage() = default;

  virtual int64_t num_episodes() const = 0;
  virtual int64_t num_steps(int64_t episode) const = 0;
  virtual std::string name(int64_t episode) const = 0;  // file and episode, for messages

  // What the file says about the episode: a JSON object.
  virtual nlohmann::json attributes(int64_t episode) const = 0;

  // The leaves of an episode, undecoded, (rows, ...) in the file's type or a string a row, text or a JPEG: N rows each, N + 1
  // of observations. Thread-safe. Throws Error that names file, episode and leaf for one that is missing, of another length or
  // broken.
  virtual std::vector<ColumnValues> read(int64_t episode, std::span<const MinariLeaf> leaves) const = 0;
};

// `data` is the folder with main_data.hdf5, or with a folder for every episode and files of the extension `format`. Throws
// Error for what cannot be opened and for episodes that are missing.
std::unique_ptr<MinariStorage> open_minari_hdf5(const std::filesystem::path& data);
std::unique_ptr<MinariStorage> open_minari_arrow(const std::filesystem::path& data, const std::string& format);

// What versions before 0.5 wrote as attributes of the HDF5 file instead of as metadata.json.
nlohmann::json minari_root_attributes(const std::filesystem::path& data);

// Throws Error unless the numbers of the episodes, sorted, count from 0 without a gap.
void check_minari_numbers(const std::vector<int64_t>& numbers, const std::string& where, const std::string& prefix);

// Throws Error unless a leaf has the rows that an episode of so many timesteps has.
void check_minari_rows(const std::string& episode, const MinariLeaf& leaf, int64_t num_rows, int64_t num_steps);

}  // namespace mugato::data
