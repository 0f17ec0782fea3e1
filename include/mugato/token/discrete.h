// Discrete values to offsets in the vocabulary's discrete range and back: integers as they are (paper 2.1).
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mugato {

struct DiscreteCodec {
  // One entry: every value is in [0, num_values[0]). Several (cells): one per channel, and channel c is shifted by the sum of
  // the entries before it, so that the channels of a cell never share an id.
  std::vector<int64_t> num_values;

  int64_t size() const;  // number of offsets used: the sum of num_values

  // values (..., C) of any integer or boolean type, C = num_values.size() when that is above 1, to int64 offsets of the same
  // shape. Throws Error that names `field` and the index of the first value out of range.
  at::Tensor encode(const at::Tensor& values, const std::string& field) const;
  at::Tensor decode(const at::Tensor& offsets) const;
};

}  // namespace mugato
