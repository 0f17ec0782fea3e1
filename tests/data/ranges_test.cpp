#include "mugato/data/ranges.h"

#include <gtest/gtest.h>

#include <numeric>

#include "fake_sources.h"
#include "message_of.h"

namespace mugato::data {
namespace {

// Episodes of given rows: K continuous values of a timestep, and one action.
class NumberSource : public Source {
 public:
  NumberSource(std::vector<at::Tensor> episodes, int64_t size) : episodes_(std::move(episodes)), size_(size) {
    schema_.fields = {{.name = "state", .modality = Modality::kContinuous, .shape = {episodes_[0].size(1)}, .mu_law = true},
                      {.name = "move", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {5}}};
  }
  explicit NumberSource(std::vector<at::Tensor> episodes) : NumberSource(episodes, static_cast<int64_t>(episodes.size())) {}
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return size_; }
  Episode get(int64_t index) const override {
    ++num_read;
    const auto& values = episodes_[static_cast<size_t>(index % static_cast<int64_t>(episodes_.size()))];
    return {.fields = {{values, {}}, {at::zeros({values.size(0)}, at::kLong), {}}},
            .num_steps = values.size(0),
            .id = "numbers episode " + std::to_string(index)};
  }

  mutable int64_t num_read = 0;

 private:
  std::vector<at::Tensor> episodes_;
  int64_t size_;
  Schema schema_;
};

// 0 to 100 in some order, as the first of two values; the second is 7 times as large and moved. In ten episodes.
std::vector<at::Tensor> hundred_and_one() {
  const auto first = at::randperm(101).to(at::kFloat);
  return at::stack({first, 7.0 * first - 50.0}, 1).tensor_split(10);
}

TEST(Ranges, AreThoseOfEachValueByItself) {
  at::manual_seed(1);
  const NumberSource source(hundred_and_one());
  const auto extremes = measure_ranges(source, {.kind = "min_max"}, "numbers");
  ASSERT_EQ(extremes.size(), 1U) << "only continuous fields have ranges";
  EXPECT_EQ(extremes.at("state").low, (std::vector<double>{0, -50}));
  EXPECT_EQ(extremes.at("state").high, (std::vector<double>{100, 650}));
  const auto quantiles = measure_ranges(source, {.kind = "quantile"}, "numbers");
  EXPECT_NEAR(quantiles.at("state").low[0], 1.0, 1e-12);
  EXPECT_NEAR(quantiles.at("state").high[0], 99.0, 1e-12);
  EXPECT_NEAR(quantiles.at("state").low[1], -43.0, 1e-12);
  EXPECT_NEAR(quantiles.at("state").high[1], 643.0, 1e-12);
}

// numpy.quantile([3, 1, 4, 1.5, 9, 2.6], [0.1, 0.9]) and so on.
TEST(Ranges, QuantilesLieBetweenValuesAsThoseOfNumPy) {
  const NumberSource source({at::tensor({3.0, 1.0, 4.0, 1.5, 9.0, 2.6}, at::kDouble).view({6, 1})});
  const std::vector<std::array<double, 3>> golden{{0.1, 1.25, 6.5}, {0.25, 1.775, 3.75}, {0.01, 1.025, 8.75}, {0.4, 2.6, 3.0}};
  for (const auto& [quantile, low, high] : golden) {
    const auto range = measure_ranges(source, {.kind = "quantile", .quantile = quantile}, "numbers").at("state");
    EXPECT_NEAR(range.low[0], low, 1e-12) << quantile;
    EXPECT_NEAR(range.high[0], high, 1e-12) << quantile;
  }
}

TEST(Ranges, AConstantComesBackAsItIs) {
  const Vocabulary vocabulary;
  const Tokenizer tokenizer(vocabulary, nullptr);
  for (const double constant : {0.0, 1.0, -3.5, 1e-9, 12345.678, -2e6}) {
    const NumberSource source({at::full({20, 1}, constant, at::kDouble)});
    for (const char* kind : {"min_max", "quantile"}) {
      const auto schema = with_ranges(source.schema(), measure_ranges(source, {.kind = kind}, "numbers"), "numbers");
      EXPECT_NO_THROW(validate(schema, vocabulary));
      const auto tokens = tokenizer.tokenize(schema, source.get(0)).fields[0];
      EXPECT_EQ(tokens.num_clipped, 0);
      const auto value = std::get<at::Tensor>(tokenizer.decode(schema.fields[0], {tokens.tokens[0][0][0].item<int64_t>()}));
      EXPECT_NEAR(value.item<double>(), constant, 1.1e-6 * std::max(1.0, std::abs(constant))) << kind;
    }
  }
}

TEST(Ranges, WhereTheQuantilesMeetTheExtremesCount) {
  auto values = at::zeros({1000, 2});
  values[17][0] = 1.0;                                  // a grip that is hardly ever closed
  values.select(1, 1).copy_(at::arange(1000.0) / 999);  // beside it one that varies
  const auto range = measure_ranges(NumberSource({values}), {.kind = "quantile"}, "numbers").at("state");
  EXPECT_EQ(range.low[0], 0.0);
  EXPECT_EQ(range.high[0], 1.0);
  EXPECT_NEAR(range.low[1], 0.01, 1e-6);
  EXPECT_NEAR(range.high[1], 0.99, 1e-6);
}

TEST(Ranges, ValuesInsideComeBackWithinHalfABinWhateverTheirSize) {
  at::manual_seed(2);
  const Tokenizer tokenizer(Vocabulary(), nullptr);
  for (int trial = 0; trial < 20; ++trial) {
    const auto scale = at::exp(8.0 * at::randn({5}, at::kDouble)), center = scale * at::randn({5}, at::kDouble) * 10.0;
    const NumberSource source(
        {at::randn({60, 5}, at::kDouble) * scale + center, at::randn({40, 5}, at::kDouble) * scale + center});
    const auto ranges = measure_ranges(source, {.kind = "min_max"}, "numbers");
    const NormalizedSource normalized(std::make_shared<NumberSource>(source), ranges, "numbers");
    const auto episode = normalized.get(0);
    const auto tokens = tokenizer.tokenize(normalized.schema(), episode).fields[0].tokens;
    for (int64_t e = 0; e < episode.num_steps; ++e) {
      const std::vector<int64_t> ids(tokens[e].const_data_ptr<int64_t>(), tokens[e].const_data_ptr<int64_t>() + 5);
      const auto decoded = std::get<at::Tensor>(tokenizer.decode(normalized.schema().fields[0], ids));
      for (int64_t k = 0; k < 5; ++k) {
        const auto i = static_cast<size_t>(k);
        const double value = episode.fields[0].values[e][k].item<double>(),
                     width = ranges.at("state").high[i] - ranges.at("state").low[i];
        ASSERT_NEAR(decoded[k].item<double>(), value, width / 2048 + 1e-6 * std::abs(value));
      }
    }
  }
}

TEST(Ranges, OfManyEpisodesSomeAreRead) {
  at::manual_seed(1);
  const NumberSource some(hundred_and_one(), 5000), worlds(hundred_and_one(), Source::kUnbounded);
  for (const auto* source : {&some, &worlds}) {
    source->num_read = 0;
    const auto ranges = measure_ranges(*source, {.episodes = 40, .seed = 5}, "numbers");
    EXPECT_EQ(source->num_read, 40);
    EXPECT_EQ(measure_ranges(*source, {.episodes = 40, .seed = 5}, "numbers").at("state").low, ranges.at("state").low);
    EXPECT_EQ(ranges.at("state").low[0], 0.0) << "some of each kind are among them";
  }
}

TEST(Ranges, SayWhatCanNotBeMeasured) {
  auto broken = at::zeros({4, 2});
  broken[2][1] = NAN;
  const NumberSource source({at::ones({3, 2}), broken});
  const auto message = testing::message_of([&] { measure_ranges(source, {}, "games"); });
  for (const char* part : {"'games'", "'state'", "'numbers episode 1'", "not finite", "\nhint: "})
    EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_NEAR(measure_ranges(source, {.skip_broken = true}, "games").at("state").low[0], 0.999, 1e-12);
  EXPECT_NE(testing::message_of([&] {
              measure_ranges(NumberSource({broken}), {.skip_broken = true}, "games");
            }).find("no episode to measure"),
            std::string::npos);
}

TEST(Ranges, OfOtherFieldsAreRefused) {
  const NumberSource source({at::ones({3, 2})});
  for (const Ranges& ranges : {Ranges{}, Ranges{{"state", {{0.0}, {1.0}}}}, Ranges{{"other", {{0.0, 0.0}, {1.0, 1.0}}}}})
    EXPECT_NE(testing::message_of([&] { with_ranges(source.schema(), ranges, "games"); }).find("not those of field 'state'"),
              std::string::npos);
}

}  // namespace
}  // namespace mugato::data
