// Where in a tensor a value is, for error messages.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mugato {

// "(3,7,7)"
inline std::string shape_text(at::IntArrayRef shape) {
  std::string text = "(";
  for (const int64_t size : shape) {
    if (text.size() > 1) text += ',';
    text += std::to_string(size);
  }
  text += ')';
  return text;
}

// "index 38 (3,0,2)" for the flat, row-major index 38 of a tensor of that shape; the first axis is mostly the timestep.
inline std::string index_text(int64_t flat, at::IntArrayRef shape) {
  std::vector<int64_t> coordinates(shape.size());
  int64_t rest = flat;
  for (size_t axis = shape.size(); axis-- > 0; rest /= shape[axis]) coordinates[axis] = rest % shape[axis];
  std::string text = "index ";
  text += std::to_string(flat);
  text += ' ';
  text += shape_text(coordinates);
  return text;
}

}  // namespace mugato
