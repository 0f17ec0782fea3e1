// JSON of strangers.
#pragma once

#include <cstddef>
#include <string_view>

namespace mugato {

inline constexpr int kMaxJsonDepth = 100;

// Whether lists and objects are within each other more deeply than that. nlohmann::json copies and writes values by recursion,
// so that files of many brackets would end the process: ask before a whole document is parsed.
inline bool is_nested_too_deeply(std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\') ++i;
    else if (c == '"') in_string = !in_string;
    else if (!in_string && (c == '[' || c == '{')) ++depth;
    else if (!in_string && (c == ']' || c == '}')) --depth;
    if (depth > kMaxJsonDepth) return true;
  }
  return false;
}

}  // namespace mugato
