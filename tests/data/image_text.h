// What the tests of the sources of images with texts share.
#pragma once

#include <zlib.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "mugato/core/files.h"
#include "mugato/data/sources.h"
#include "mugato/env/environment.h"

namespace mugato::data {

inline const std::filesystem::path kFixtures = MUGATO_FIXTURES;

inline nlohmann::json json_of(const std::filesystem::path& file) { return nlohmann::json::parse(read_file(file)); }

inline uint32_t crc_of(const at::Tensor& image) {
  const auto bytes = image.contiguous();
  return static_cast<uint32_t>(crc32_z(0, bytes.const_data_ptr<uint8_t>(), bytes.nbytes()));
}

// The source as a configuration makes it, with nothing held out unless the options say so.
inline std::unique_ptr<Source> source_of(const std::string& name, ReadingOptions reading, double held_out = 0.0,
                                         Split split = Split::kTrain) {
  SourceRegistry registry("data source");
  register_builtins(registry, env::EnvironmentRegistry("environment"));
  reading.held_out = held_out;
  return build_source(registry, {.source = name, .reading = std::move(reading)}, split);
}

inline std::string id_of(const RawEpisode& raw) { return std::get<std::string>(raw.id); }

inline const Leaf& leaf_of(const RawEpisode& raw, const std::string& name) {
  for (const auto& leaf : raw.leaves)
    if (leaf.group == "fields" && leaf.name == name) return leaf;
  TORCH_CHECK(false, "no leaf ", name);
}

}  // namespace mugato::data
