// A run of the four built-in worlds that trains in a second.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "message_of.h"
#include "mugato/core/files.h"
#include "mugato/run/run.h"
#include "temporary_folder.h"

namespace mugato::run {

inline const std::string kTinyConfig = std::string(R"(
[run]
seed = 3
device = "cpu"
[tokens]
text = ")") + MUGATO_ROOT R"(/data/tokenizers/quickstart.model"
[model]
preset = "tiny"
width = 32
patch_channels = 32
patch_stride = 8
[train]
steps = 10
rows = 4
context = 96
evaluate_every = 0
save_every = 0
[optim]
learning_rate = 0.003
warmup = 4
[eval]
documents = 4
[[data]]
source = "four_rooms"
max_steps = 2
weight = 2
[[data]]
source = "point_maze"
max_steps = 6
[[data]]
source = "shapes_qa"
[[data]]
source = "stories"
)";

inline RunConfig tiny_config(const std::filesystem::path& out, std::vector<std::string> assignments = {}) {
  assignments.push_back("run.out=" + out.string());
  return parse_config(kTinyConfig, "tiny.toml", assignments);
}

// The values of one metric by step; fails when a step has two.
inline std::map<int64_t, double> metric(const std::filesystem::path& run, const std::string& name) {
  std::map<int64_t, double> values;
  std::istringstream lines(read_file(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    if (json["name"] == name) {
      EXPECT_TRUE(values.emplace(json["step"], json["value"]).second) << line;
    }
  }
  return values;
}

using testing::message_of;

inline void expect_mentions(const std::string& text, const std::vector<std::string>& parts) {
  for (const auto& part : parts) EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in: " << text;
}

}  // namespace mugato::run
