// What a reader read, in numbers that another reader of the same files can be held against.
#pragma once

#include <string>

#include "mugato/data/source.h"

namespace mugato::data {

// One JSON object: id, total_steps, attributes, and for every leaf field, within its group, dtype (NumPy's name), shape, crc32
// of the row-major little-endian bytes, sum of the finite values, first and last row (up to 8 values each); of text length,
// first, last, and the crc32 of the lines joined by "\n".
std::string digest(const RawEpisode& episode);

}  // namespace mugato::data
