// Values of a column as a file has them, whatever its format.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mugato::data {

// Some values of one column, all of one shape.
struct ColumnValues {
  at::Tensor numbers;                // (n, shape...), of the column's own type
  std::vector<std::string> strings;  // of all other kinds: n texts or byte strings

  // In place of `strings`: byte strings where they were read to.
  std::vector<std::string_view> pieces = {};
  std::shared_ptr<const void> memory = {};  // of the pieces

  int64_t size() const {
    return numbers.defined() ? numbers.size(0) : static_cast<int64_t>(std::max(strings.size(), pieces.size()));
  }
  std::string_view bytes(int64_t row) const {
    return pieces.empty() ? std::string_view(strings[static_cast<size_t>(row)]) : pieces[static_cast<size_t>(row)];
  }
  std::vector<std::string> take_strings() {
    return pieces.empty() ? std::move(strings) : std::vector<std::string>(pieces.begin(), pieces.end());
  }
};

}  // namespace mugato::data
