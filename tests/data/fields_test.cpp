#include "mugato/data/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "data/fake_sources.h"
#include "message_of.h"
#include "mugato/data/held_out.h"
#include "mugato/data/sources.h"

namespace mugato::data {
namespace {

using testing::message_of;

// Two timesteps of a grid of ids in [0, 11), a picture, a speed, a level of whole numbers, and an action.
class MixedSource : public Source {
 public:
  explicit MixedSource(int64_t size = 100) : size_(size) {
    schema_.fields = {
        {.name = "grid", .modality = Modality::kDiscrete, .shape = {3, 4, 2}, .cells = true, .num_values = {11, 11}},
        {.name = "picture", .modality = Modality::kImage, .shape = {5, 6, 3}},
        {.name = "speed", .modality = Modality::kContinuous, .shape = {2}, .mu_law = true},
        {.name = "level", .modality = Modality::kContinuous, .shape = {}, .mu_law = true},
        {.name = "move", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {4}},
    };
  }
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return size_; }
  ReadingOrder reading_order() const override { return {{30, 50, 20}, 4}; }

  Episode get(int64_t index) const override {
    Episode episode{.num_steps = 2, .id = "mixed episode " + std::to_string(index)};
    episode.fields = {{at::arange(48, at::kLong).remainder(11).view({2, 3, 4, 2}), {}},
                      {at::arange(180, at::kByte).view({2, 5, 6, 3}), {}},
                      {at::tensor({0.5F, -1.0F, 2.0F, 3.0F}).view({2, 2}), {}},
                      {at::tensor({3.0F, static_cast<float>(index)}), {}},
                      {at::tensor({1, 2}, at::kLong), {}}};
    return episode;
  }

 private:
  int64_t size_;
  Schema schema_;
};

std::unique_ptr<Source> changed(const std::map<std::string, FieldChange>& changes) {
  return with_fields(std::make_unique<MixedSource>(), changes);
}

TEST(WithFields, APictureIsReadAsCellsAndAGridAsAPicture) {
  const auto source = changed({{"picture", {.modality = "discrete"}}, {"speed", {.role = "none"}}});
  const auto& picture = source->schema().field("picture");
  EXPECT_TRUE(picture.cells);
  EXPECT_EQ(picture.num_values, (std::vector<int64_t>{256, 256, 256}));
  EXPECT_EQ(source->schema().fields.size(), 4U);
  const auto values = source->get(3).fields[1].values;
  EXPECT_EQ(values.scalar_type(), at::kLong);
  EXPECT_TRUE(values.equal(MixedSource().get(3).fields[1].values.to(at::kLong)));
  validate(source->schema(), test_vocabulary());
  const auto back = with_fields(changed({{"picture", {.modality = "discrete"}}}), {{"picture", {.modality = "image"}}});
  EXPECT_TRUE(back->get(3).fields[1].values.equal(MixedSource().get(3).fields[1].values));
  EXPECT_EQ(back->schema().field("picture").modality, Modality::kImage);
  EXPECT_FALSE(back->schema().field("picture").cells);
}

TEST(WithFields, RangesReplaceMuLawAndNumbersOfValues) {
  const auto source = changed({{"speed", {.range = {-3, 5}}},
                               {"level", {.modality = "discrete", .range = {0, 99}}},
                               {"grid", {.range = {0, 31}}},
                               {"move", {.modality = "continuous", .range = {0, 3}}}});
  EXPECT_FALSE(source->schema().field("speed").mu_law);
  EXPECT_EQ(source->schema().field("speed").low, (std::vector<double>{-3}));
  EXPECT_EQ(source->schema().field("speed").high, (std::vector<double>{5}));
  EXPECT_EQ(source->schema().field("level").num_values, (std::vector<int64_t>{100}));
  EXPECT_EQ(source->schema().field("grid").num_values, (std::vector<int64_t>{32, 32}));
  EXPECT_TRUE(source->get(7).fields[3].values.equal(at::tensor({3, 7}, at::kLong)));
  EXPECT_TRUE(source->get(7).fields[4].values.equal(at::tensor({1.0F, 2.0F})));
  validate(source->schema(), test_vocabulary());
  test_tokenizer()->tokenize(source->schema(), source->get(7));
}

TEST(WithFields, AnActionHasNoMuLaw) {
  const auto source = changed({{"speed", {.role = "action"}}});
  EXPECT_EQ(source->schema().field("speed").role, Role::kAction);
  EXPECT_FALSE(source->schema().field("speed").mu_law);
}

TEST(WithFields, WhatCannotBeIsAnErrorThatNamesTheField) {
  const auto message = [](const std::string& field, FieldChange change) {
    return message_of([&] { changed({{field, std::move(change)}})->get(0); });
  };
  EXPECT_THAT(message("pictur", {.role = "none"}), ::testing::HasSubstr("did you mean 'picture'?"));
  EXPECT_THAT(message("picture", {.modality = "continuous"}), ::testing::HasSubstr("fields.picture: "));
  EXPECT_THAT(message("grid", {.modality = "image"}), ::testing::HasSubstr("fields.grid: its values are no picture"));
  EXPECT_THAT(message("grid", {.modality = "text"}), ::testing::HasSubstr("discrete to text"));
  EXPECT_THAT(message("speed", {.modality = "discrete"}), ::testing::HasSubstr("give range"));
  EXPECT_THAT(message("speed", {.modality = "discrete", .range = {0, 9}}), ::testing::HasSubstr("not whole numbers"));
  EXPECT_THAT(message("speed", {.range = {1, 1}}), ::testing::HasSubstr("[low, high]"));
  EXPECT_THAT(message("grid", {.range = {1, 9}}), ::testing::HasSubstr("[0, highest value]"));
  EXPECT_THAT(message("picture", {.range = {0, 9}}), ::testing::HasSubstr("means nothing"));
}

TEST(Divide, TheHalvesShareNothingAndKeepTheOrder) {
  for (const double share : {0.5, 0.25, 0.05, 0.013, 0.0}) {
    const auto train = divide(std::make_unique<MixedSource>(), share, Split::kTrain);
    const auto held_out = divide(std::make_unique<MixedSource>(), share, Split::kEvaluation);
    EXPECT_EQ(train->size() + held_out->size(), 100) << share;
    EXPECT_NEAR(static_cast<double>(held_out->size()), 100 * share, 1.0);
    std::set<std::string> seen;
    for (const auto* source : {train.get(), held_out.get()}) {
      int64_t last = -1;
      for (int64_t i = 0; i < source->size(); ++i) {
        const auto number = source->get(i).fields[3].values[1].item<float>();
        EXPECT_GT(number, static_cast<float>(last));
        last = static_cast<int64_t>(number);
        EXPECT_TRUE(seen.insert(std::get<std::string>(source->raw(i).id)).second);
      }
      const auto runs = source->reading_order().runs;
      EXPECT_EQ(std::accumulate(runs.begin(), runs.end(), int64_t{0}), source->size());
    }
    EXPECT_EQ(seen.size(), 100U);
  }
}

// Several episodes of a group, scattered and of two runs.
class GroupedSource : public MixedSource {
 public:
  std::vector<uint32_t> groups() const override {
    std::vector<uint32_t> groups;
    for (uint32_t i = 0; i < 100; ++i) groups.push_back(i < 30 ? i : i * 7 % 30);
    return groups;
  }
  ReadingOrder reading_order() const override { return {{40, 60}, 1}; }
};

TEST(Divide, GroupsAreHeldOutWhole) {
  const GroupedSource whole;
  const auto groups = whole.groups();
  for (const double share : {0.5, 0.25, 0.1, 0.0}) {
    const auto train = divide(std::make_unique<GroupedSource>(), share, Split::kTrain);
    const auto held_out = divide(std::make_unique<GroupedSource>(), share, Split::kEvaluation);
    EXPECT_EQ(train->size() + held_out->size(), 100);
    std::set<uint32_t> groups_of[2];
    for (const auto* source : {train.get(), held_out.get()}) {
      auto& seen = groups_of[source == held_out.get()];
      std::vector<int64_t> numbers;
      for (int64_t i = 0; i < source->size(); ++i) {
        numbers.push_back(source->get(i).fields[3].values[1].item<int64_t>());
        seen.insert(groups[static_cast<size_t>(numbers.back())]);
      }
      EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
      const auto runs = source->reading_order().runs;
      EXPECT_EQ(runs, (std::vector<int64_t>{std::count_if(numbers.begin(), numbers.end(), [](int64_t n) { return n < 40; }),
                                            std::count_if(numbers.begin(), numbers.end(), [](int64_t n) { return n >= 40; })}));
    }
    EXPECT_EQ(groups_of[0].size() + groups_of[1].size(), 30U) << "no group is in both halves";
    EXPECT_NEAR(static_cast<double>(groups_of[1].size()), 30 * share, 1.0);
  }
}

TEST(BuildSource, AKeyThatTheSourceDoesNotTakeIsAnError) {
  SourceRegistry registry("data source");
  registry.add("mixed", [](const DataEntry&, Split) { return std::make_unique<MixedSource>(); },
               {"for tests", {"path", "held_out"}});
  DataEntry entry{.source = "mixed"};
  entry.reading.path = "somewhere";
  EXPECT_EQ(build_source(registry, entry, Split::kTrain)->size(), 95);
  EXPECT_EQ(build_source(registry, entry, Split::kEvaluation)->size(), 5);
  entry.reading.captions = "file.csv";
  const auto message = message_of([&] { build_source(registry, entry, Split::kTrain); });
  EXPECT_THAT(message, ::testing::HasSubstr("'mixed' has no use for the key 'captions'"));
  EXPECT_THAT(message, ::testing::HasSubstr("it takes: path, held_out"));
}

}  // namespace
}  // namespace mugato::data
