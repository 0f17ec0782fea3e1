// Tables of Parquet and Arrow, changed by Arrow's own library: the input says which columns, at any depth, are dropped, renamed
// or replaced by others of any type, so that the file is sound and its content is not.
#pragma once

#include <filesystem>
#include <string>

#include "reading.h"

namespace mugato::fuzz {

// The bytes of a file of the fixtures, *.parquet or *.arrow, edited. The same bytes where the format cannot hold the result.
std::string edited_table(const std::filesystem::path& file, Input& input);

// The same, or the input's own bytes: what a target of such files reads. Files of other kinds are the input's bytes.
inline std::string table_or_bytes(const std::filesystem::path& file, Input& input) {
  const bool is_table = file.extension() == ".parquet" || file.extension() == ".arrow";
  return is_table && input.flag() ? edited_table(file, input) : std::string(input.rest());
}

}  // namespace mugato::fuzz
