#include "mugato/data/facts.h"

#include <gtest/gtest.h>

#include "message_of.h"
#include "mugato/data/source.h"

namespace mugato::data {
namespace {

TEST(Facts, ComeBackFromTheirText) {
  const DataFacts facts{{"few",
                         {.episodes = 12,
                          .found = 15,
                          .normalize = "quantile",
                          .ranges = {{"force", {{-0.1, 1.0 / 3.0}, {1e-300, 7e22}}}, {"speed", {{0.0}, {1.0}}}}}},
                        {"worlds \"quoted\"", {.episodes = Source::kUnbounded}}};
  const auto read = parse_facts(to_json(facts), "data.json");
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read.at("few").episodes, 12);
  EXPECT_EQ(read.at("few").found, 15);
  EXPECT_EQ(read.at("few").normalize, "quantile");
  EXPECT_EQ(read.at("few").ranges.at("force").low, (std::vector<double>{-0.1, 1.0 / 3.0})) << "bit for bit";
  EXPECT_EQ(read.at("few").ranges.at("force").high, (std::vector<double>{1e-300, 7e22}));
  EXPECT_EQ(read.at("few").ranges.size(), 2U);
  EXPECT_EQ(read.at("worlds \"quoted\"").episodes, Source::kUnbounded);
}

TEST(Facts, WhatIsNoneSaysWhereItStands) {
  for (const char* text : {"", "[]x", "{\"a\": 1}", "{\"a\": {}}", "{\"a\": {\"episodes\": \"many\"}}"})
    EXPECT_NE(testing::message_of([&] { parse_facts(text, "there/data.json"); }).find("there/data.json: "), std::string::npos)
        << text;
}

}  // namespace
}  // namespace mugato::data
