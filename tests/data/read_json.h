// Expected values that another reader wrote.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "mugato/core/files.h"
#include "mugato/data/digest.h"

namespace mugato::testing {

inline nlohmann::json read_json(const std::string& path) { return nlohmann::json::parse(read_file(path)); }

// Whether a digest has everything that is expected of it; more is fine.
inline bool holds(const nlohmann::json& digest, const nlohmann::json& expected) {
  if (!expected.is_object()) return digest == expected;
  for (const auto& [key, value] : expected.items())
    if (!digest.contains(key) || !holds(digest.at(key), value)) return false;
  return true;
}

}  // namespace mugato::testing
