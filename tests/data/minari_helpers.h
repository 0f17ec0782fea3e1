// Minari data sets of the fixtures, opened as training opens them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "mugato/data/sources.h"

namespace mugato::data::testing {

inline std::filesystem::path minari_fixture(const std::string& id) {
  return std::filesystem::path(MUGATO_FIXTURES) / "minari" / id;
}

inline std::unique_ptr<Source> open_minari(const std::filesystem::path& path, std::vector<std::string> cameras = {}) {
  env::EnvironmentRegistry worlds("environment");
  SourceRegistry sources("data source");
  register_builtins(sources, worlds);
  DataEntry entry{.source = "minari"};
  entry.reading.path = path.string();
  entry.reading.held_out = 0;
  entry.reading.cameras = std::move(cameras);
  return build_source(sources, entry, Split::kTrain);
}

inline nlohmann::json read_json(const std::filesystem::path& path) { return nlohmann::json::parse(std::ifstream(path)); }

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace mugato::data::testing
