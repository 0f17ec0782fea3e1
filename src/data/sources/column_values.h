// Values of a column as a file has them, whatever its format.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mugato::data {

// Some values of one column, all of one shape.
struct ColumnValues {
  at::Tensor numbers;                // (n, shape...), of the column's own type
  std::vector<std::string> strings;  // of all other kinds: n texts or byte strings
  int64_t size() const { return numbers.defined() ? numbers.size(0) : static_cast<int64_t>(strings.size()); }
};

}  // namespace mugato::data
