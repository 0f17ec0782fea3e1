// The check that every text tokenizer makes of ids.
#pragma once

#include <cstdint>
#include <string>

#include "mugato/core/error.h"

namespace mugato::text {

// `where` follows the id in the message: " at index 3", or nothing.
inline void check_text_id(int32_t id, int64_t size, const std::string& origin, const std::string& where = "") {
  if (id >= 0 && id < size) return;
  throw Error("text id " + std::to_string(id) + where + " is not in [0, " + std::to_string(size) + ") of '" + origin + "'",
              "decode with the tokenizer that made the ids; ids of other ranges are not text");
}

}  // namespace mugato::text
