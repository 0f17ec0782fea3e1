// Files of the safetensors format put together by hand.
#pragma once

#include <cstdint>
#include <string>

namespace mugato::testing {

inline std::string file_of(std::string header, const std::string& data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

}  // namespace mugato::testing
