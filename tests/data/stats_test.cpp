// Statistics and findings against plain sums over sources that are made to be wrong in known ways.
#include "mugato/data/stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/fake_sources.h"
#include "mugato/core/error.h"
#include "mugato/data/digest.h"
#include "mugato/data/lint.h"

namespace mugato::data {
namespace {

using ::testing::HasSubstr;

// Episodes of a length each; every defect can be planted.
class PlantedSource : public Source {
 public:
  PlantedSource() {
    schema_.fields = {
        {.name = "mission", .modality = Modality::kText},
        {.name = "speed", .modality = Modality::kContinuous, .shape = {3}, .low = {-2}, .high = {2}},
        {.name = "force", .modality = Modality::kContinuous, .role = Role::kAction, .shape = {2}, .low = {-0.4}, .high = {0.4}},
        {.name = "move", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {5}},
    };
  }
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return 12; }

  Episode get(int64_t index) const override {
    if (index == 5 && unreadable) throw Error("planted.bin episode 5 is cut short", "copy it again");
    Random random(hash_key(9, index == 8 && duplicate ? 2 : index));
    Episode episode{.num_steps = random.between(3, 9), .id = "planted episode " + std::to_string(index)};
    const int64_t steps = episode.num_steps;
    const auto uniform = [&](int64_t count) {
      auto values = at::empty({count}, at::kFloat);
      for (int64_t i = 0; i < count; ++i) values[i] = random.uniform(-3.0, 3.0);
      return values;
    };
    auto speed = uniform(3 * steps).view({steps, 3}), force = uniform(2 * steps).view({steps, 2}) * (0.4 / 3.0);
    force[0][0] = 0.4F;  // above the double 0.4, and not beyond the space
    auto moves = at::empty({steps}, at::kLong);
    for (int64_t e = 0; e < steps; ++e) moves[e] = random.below(5);
    if (constant) speed.select(1, 1).fill_(0.25);
    if (nan && index == 3) speed[1][2] = NAN;
    if (beyond && index == 4) force[2][1] = 1.5;
    if (out_of_range && index == 6) moves[0] = 5;
    std::vector<std::string> mission(static_cast<size_t>(steps), "go there");
    if (empty_text && index == 7) mission[1] = " \n";
    if (short_field && index == 9) mission.pop_back();
    episode.fields = {{{}, mission}, {speed, {}}, {force, {}}, {moves, {}}};
    episode.total_return = static_cast<double>(index) - 4.0;
    return episode;
  }

  bool unreadable = false, duplicate = false, constant = false, nan = false, beyond = false, out_of_range = false,
       empty_text = false, short_field = false;

 private:
  Schema schema_;
};

TEST(Stats, AreThePlainSums) {
  const PlantedSource source;
  const auto tokenizer = test_tokenizer();
  const Sequencer sequencer(test_vocabulary(), {});
  const auto stats = measure(source, *tokenizer, sequencer, {.context = 60}, 10);
  EXPECT_EQ(stats.num_episodes, 10);
  int64_t steps = 0, windows = 0;
  std::vector<double> speed, clipped(3, 0.0), moves(5, 0.0);
  for (int64_t i = 0; i < 10; ++i) {
    const auto episode = source.get(i);
    steps += episode.num_steps;
    windows += (episode.num_steps + 3) / 4;  // 8 letters, 3 + 2 + 1 values and a separator are 15 tokens; 4 times 15 fit
    for (int64_t e = 0; e < episode.num_steps; ++e) {
      speed.push_back(episode.fields[1].values[e][0].item<double>());
      for (int64_t d = 0; d < 3; ++d)
        clipped[static_cast<size_t>(d)] += std::abs(episode.fields[1].values[e][d].item<double>()) > 2;
      moves[static_cast<size_t>(episode.fields[3].values[e].item<int64_t>())] += 1;
    }
  }
  EXPECT_EQ(stats.num_steps, steps);
  EXPECT_EQ(stats.num_windows, windows);
  EXPECT_EQ(stats.num_tokens, 15 * steps);
  EXPECT_DOUBLE_EQ(stats.returns.mean(), 0.5);
  EXPECT_DOUBLE_EQ(stats.returns.std(), std::sqrt(8.25));
  EXPECT_EQ(stats.returns.min(), -4);
  EXPECT_EQ(stats.returns.max(), 5);
  const auto expected = at::tensor(speed, at::kDouble);
  EXPECT_NEAR(stats.fields[1].dimensions[0].mean(), expected.mean().item<double>(), 1e-12);
  EXPECT_NEAR(stats.fields[1].dimensions[0].std(), expected.std(/*unbiased=*/false).item<double>(), 1e-12);
  for (size_t d = 0; d < 3; ++d) EXPECT_DOUBLE_EQ(stats.fields[1].clipped[d], clipped[d] / static_cast<double>(steps));
  EXPECT_EQ(stats.fields[2].clipped, (std::vector<double>{0, 0}));
  for (size_t v = 0; v < 5; ++v) EXPECT_EQ(static_cast<double>(stats.fields[3].num_per_value[v]), moves[v]);
}

TEST(Lint, FindsNothingInWhatIsRight) { EXPECT_TRUE(lint(PlantedSource(), Source::kUnbounded).empty()); }

TEST(Lint, FindsEveryPlantedDefectAndNoOther) {
  const auto expect = [](bool PlantedSource::*defect, const std::string& kind, const std::string& field,
                         const std::string& example) {
    PlantedSource source;
    source.*defect = true;
    const auto findings = lint(source, Source::kUnbounded);
    ASSERT_EQ(findings.size(), 1U) << kind;
    EXPECT_EQ(findings[0].kind, kind);
    EXPECT_EQ(findings[0].field, field);
    EXPECT_EQ(findings[0].count, 1);
    EXPECT_THAT(findings[0].example, HasSubstr(example));
  };
  expect(&PlantedSource::unreadable, "unreadable", "", "planted.bin episode 5 is cut short");
  expect(&PlantedSource::duplicate, "duplicate", "", "planted episode 8: the same as number 2");
  expect(&PlantedSource::constant, "constant", "speed", "dimension 1 is always 0.25");
  expect(&PlantedSource::nan, "not_finite", "speed", "planted episode 3: timestep 1, value 2 is nan");
  expect(&PlantedSource::beyond, "beyond_space", "force", "planted episode 4: timestep 2, value 1 is 1.5");
  expect(&PlantedSource::out_of_range, "out_of_range", "move", "planted episode 6: timestep 0, value 0 is 5");
  expect(&PlantedSource::empty_text, "empty_text", "mission", "planted episode 7: timestep 1");
  expect(&PlantedSource::short_field, "mismatched_length", "mission", "planted episode 9: ");
}

// The numbers come from numpy and zlib: np.array([[1.5, -2], [3, nan]], "<f4"), crc32 of its bytes.
TEST(Digest, DescribesEveryType) {
  RawEpisode raw{.id = "7", .num_steps = 2};
  raw.leaves.push_back({"observations", "x", at::tensor({1.5F, -2.0F, 3.0F, NAN}).view({2, 2}), {}});
  raw.leaves.push_back({"", "done", at::tensor({0, 1}).to(at::kBool), {}});
  raw.leaves.push_back({"observations", "mission", {}, {"a", "b"}});
  const auto text = digest(raw);
  EXPECT_THAT(
      text,
      HasSubstr(R"("x":{"crc32":3931406802,"dtype":"float32","first":[1.5,-2.0],"last":[3.0,null],"shape":[2,2],"sum":2.5})"));
  EXPECT_THAT(text, HasSubstr(R"("done":{"crc32":920527465,"dtype":"bool","shape":[2],"values":[false,true]})"));
  EXPECT_THAT(text, HasSubstr(R"("mission":{"crc32":4010250491,"first":"a","kind":"text","last":"b","length":2})"));
}

}  // namespace
}  // namespace mugato::data
