#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "message_of.h"
#include "nested.h"
#include "src/data/sources/minari_spaces.h"
#include "src/data/sources/python_json.h"

namespace mugato::data {
namespace {

using mugato::testing::message_of;
using mugato::testing::nested;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

SpaceLeaf one_leaf(const std::string& text) {
  auto leaves = parse_space(text, "here");
  EXPECT_EQ(leaves.size(), 1) << text;
  return leaves.at(0);
}

std::string box(const std::string& dtype, const std::string& shape, const std::string& low, const std::string& high) {
  return R"({"type": "Box", "dtype": ")" + dtype + R"(", "shape": )" + shape + R"(, "low": )" + low + R"(, "high": )" + high +
         "}";
}

std::string in_dict(const std::string& space) { return R"({"type": "Dict", "subspaces": {"hand": )" + space + "}}"; }

FieldSpec spec_of(const std::string& text, bool action = false) { return minari_field(one_leaf(text), "x", action).spec; }

TEST(PythonJson, BareWordsBecomeStringsOutsideOfStringsOnly) {
  const auto found = parse_python_json(R"({"a": [NaN, -Infinity, Infinity, 1], "NaN": "say \"Infinity, NaN\""})", "here");
  EXPECT_EQ(found["a"], nlohmann::json({"NaN", "-Infinity", "Infinity", 1}));
  EXPECT_EQ(found["NaN"], "say \"Infinity, NaN\"");
  EXPECT_EQ(number_of(found["a"][1], ""), -kInfinity);
  EXPECT_TRUE(std::isnan(number_of(found["a"][0], "")));
  EXPECT_EQ(parse_python_json(python_json_text(found), "here"), found);
  EXPECT_THAT(python_json_text(found["a"]), "[NaN, -Infinity, Infinity, 1]");
}

TEST(PythonJson, WhatIsNoJsonIsAnErrorThatNamesTheByte) {
  EXPECT_THAT(message_of([] { parse_python_json("{\"a\": [1, 2", "'metadata.json'"); }),
              HasSubstr("'metadata.json' is no JSON: it breaks off or goes wrong at byte 12"));
  for (const auto& text : std::vector<std::string>{"", "\"", "\"\\", "Infinit", "{", "1e999"})
    EXPECT_THAT(message_of([&] { parse_python_json(text, "here"); }), HasSubstr("here ")) << text;
  EXPECT_THAT(message_of([] { parse_python_json(nested(100'000), "here"); }),
              HasSubstr("here is JSON that is nested too deeply"));
  EXPECT_TRUE(parse_python_json(nested(100), "here").is_array());
}

TEST(MinariSpaces, BoundsOfEveryElement) {
  const auto cart = one_leaf(box("float32", "[4]", "[-4.8, -Infinity, -0.42, -Infinity]", "[4.8, Infinity, 0.42, Infinity]"));
  EXPECT_EQ(cart.kind, SpaceLeaf::Kind::kBox);
  EXPECT_THAT(cart.low, ElementsAre(-4.8, -kInfinity, -0.42, -kInfinity));
  EXPECT_THAT(one_leaf(box("float64", "[]", "-1.5", "2")).high, ElementsAre(2));
  EXPECT_THAT(one_leaf(box("float64", "[2, 2]", "[[1, 2], [3, 4]]", "9")).low, ElementsAre(1, 2, 3, 4));
  const auto multi =
      one_leaf(R"({"type": "MultiDiscrete", "dtype": "int64", "nvec": [[2, 3], [4, 5]], "start": [[0, 1], [0, 1]]})");
  EXPECT_THAT(multi.shape, ElementsAre(2, 2));
  EXPECT_THAT(multi.low, ElementsAre(0, 1, 0, 1));
  EXPECT_THAT(multi.high, ElementsAre(1, 3, 3, 5));
  EXPECT_THAT(one_leaf(R"({"type": "MultiBinary", "n": [2, 3]})").shape, ElementsAre(2, 3));
  EXPECT_THAT(one_leaf(R"({"type": "Discrete", "n": 5})").high, ElementsAre(4));  // old versions write no start
}

TEST(MinariSpaces, LeavesOfNestedSpaces) {
  const auto leaves = parse_space(
      R"({"type": "Dict", "subspaces": {"b c.d": {"type": "Tuple", "subspaces": [{"type": "Discrete", "n": 2, "start": 0},
          {"type": "Dict", "subspaces": {"t": {"type": "Text", "max_length": 3, "min_length": 1, "charset": "\ud83e\udd16"}}}]},
          "a": {"type": "MultiBinary", "n": 3}}})",
      "here");
  ASSERT_EQ(leaves.size(), 3);
  EXPECT_EQ(leaves[0].name(), "a");
  EXPECT_EQ(leaves[1].name(), "b c.d/0");
  EXPECT_EQ(leaves[2].name(), "b c.d/1/t");
  EXPECT_FALSE(leaves[1].path[0].of_tuple);
  EXPECT_TRUE(leaves[1].path[1].of_tuple);
  EXPECT_EQ(leaves[2].kind, SpaceLeaf::Kind::kText);
}

TEST(MinariSpaces, WhatALeafIsReadAs) {
  const auto pixels = [&](const std::string& shape) { return box("uint8", shape, "0", "255"); };
  EXPECT_EQ(spec_of(pixels("[56, 56, 3]")).modality, Modality::kImage);
  EXPECT_THAT(spec_of(pixels("[84, 84]")).shape, ElementsAre(84, 84, 1));
  EXPECT_EQ(spec_of(pixels("[32, 32, 4]")).modality, Modality::kImage);
  EXPECT_EQ(spec_of(pixels("[56, 56, 3]"), true).modality, Modality::kDiscrete);  // images are not written
  EXPECT_FALSE(spec_of(pixels("[56, 56, 3]"), true).cells);
  const auto grid = spec_of(box("uint8", "[2, 1, 3]", "0", "[[[5, 9, 2]], [[10, 5, 2]]]"));
  EXPECT_EQ(grid.modality, Modality::kDiscrete);
  EXPECT_TRUE(grid.cells);
  EXPECT_THAT(grid.num_values, ElementsAre(11, 10, 3));
  EXPECT_THAT(spec_of(pixels("[7, 7, 3]")).num_values, ElementsAre(256, 256, 256));
  EXPECT_FALSE(spec_of(pixels("[7, 7, 1]")).cells);
  EXPECT_EQ(spec_of(pixels("[4, 84, 84]")).modality, Modality::kDiscrete);  // a stack of frames
  const auto shifted = minari_field(one_leaf(box("int16", "[2]", "[-3, 5]", "[3, 9]")), "x", false);
  EXPECT_EQ(shifted.spec.modality, Modality::kDiscrete);
  EXPECT_THAT(shifted.spec.num_values, ElementsAre(7));
  EXPECT_TRUE(shifted.start.equal(at::tensor({-3, 5}, at::kLong)));
  EXPECT_EQ(spec_of(box("int32", "[1]", "[-100000]", "[100000]")).modality, Modality::kContinuous);
  EXPECT_EQ(spec_of(R"({"type": "Text"})").role, Role::kObservation);
  EXPECT_EQ(spec_of(R"({"type": "Text"})", true).role, Role::kAnswer);
}

TEST(MinariSpaces, ActionsAreLinearInTheirBounds) {
  const auto arm = spec_of(box("float32", "[3]", "[-1, -2, 0]", "[1, 2, 0]"), true);
  EXPECT_FALSE(arm.mu_law);
  EXPECT_THAT(arm.low, ElementsAre(-1, -2, 0));
  EXPECT_THAT(arm.high, ElementsAre(1, 2, 1));  // the last cannot vary
  EXPECT_TRUE(spec_of(box("float32", "[3]", "[-1, -2, 0]", "[1, 2, 0]"), false).mu_law);
  for (const std::string bound : {"Infinity", "3.4028234663852886e+38"}) {
    const auto free = spec_of(box("float32", "[2]", "[-1, -" + bound + "]", "[1, " + bound + "]"), true);
    EXPECT_THAT(free.low, ElementsAre(-1));
    EXPECT_THAT(free.high, ElementsAre(1));
  }
}

TEST(MinariSpaces, WhatIsNoSpaceIsAnErrorThatNamesTheField) {
  const std::pair<std::string, std::string> wrong[] = {
      {in_dict(R"({"type": "Graph", "node_space": {}})"), "field 'hand' is a space of the type 'Graph'"},
      {in_dict(R"({"type": "Sequence"})"), "field 'hand' is a space of the type 'Sequence'"},
      {in_dict("3"), "field 'hand' has no 'type'"},
      {in_dict(R"({"type": "Box"})"), "field 'hand' has no 'dtype'"},
      {in_dict(box("float32", "[2]", "[0]", "[1, 1]")), "field 'hand' has a 'low' that is not of the space's shape"},
      {in_dict(box("float32", "[1]", "[0]", "[\"1\"]")), "field 'hand': its 'high' is no number"},
      {in_dict(box("float32", "[0]", "[]", "[]")), "field 'hand' has an axis without elements"},
      {in_dict(box("float32", "[1000000, 1000000, 1000000, 1000000]", "0", "1")), "field 'hand' has more than"},
      {in_dict(box("float32", "[-3]", "0", "1")), "field 'hand' has a 'shape' that is no whole number from 0 on"},
      {in_dict(R"({"type": "Discrete", "n": 0})"), "field 'hand' has a 'n' that is no whole number from 1 on"},
      {in_dict(R"({"type": "Discrete", "n": 1e300})"), "field 'hand' has a 'n' that is no whole number"},
      {in_dict(R"({"type": "MultiDiscrete", "nvec": [2, [3]]})"), "field 'hand': its 'nvec' is no number"},
      {in_dict(R"({"type": "MultiDiscrete", "nvec": [2.5]})"), "field 'hand' has an nvec or start that are no whole numbers"},
      {in_dict(R"({"type": "MultiBinary", "n": "many"})"), "field 'hand' has a 'n' that is no whole number"},
      {R"({"type": "Dict", "subspaces": []})", "here is a Dict without named subspaces"},
      {R"({"type": "Tuple", "subspaces": {}})", "here is a Tuple without a list of subspaces"},
      {"[]", "here has no 'type'"},
  };
  for (const auto& [text, message] : wrong)
    EXPECT_THAT(message_of([&, space = text] { parse_space(space, "here"); }), HasSubstr(message));
  std::string deep = R"({"type": "Discrete", "n": 2})";
  for (int i = 0; i < 40; ++i) deep = R"({"type": "Tuple", "subspaces": [)" + deep + "]}";
  EXPECT_THAT(message_of([&] { parse_space(deep, "here"); }), HasSubstr("nested deeper than 16 spaces"));
}

TEST(MinariSpaces, TheListsOfAnAtariScreenAreReadInMilliseconds) {
  std::string row = "[", image = "[";
  for (int x = 0; x < 160; ++x) row += x == 0 ? "[0, 0, 0]" : ", [0, 0, 0]";
  row += "]";
  for (int y = 0; y < 210; ++y) image += (y == 0 ? "" : ", ") + row;
  image += "]";
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(spec_of(box("uint8", "[210, 160, 3]", image, image)).modality, Modality::kImage);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

}  // namespace
}  // namespace mugato::data
