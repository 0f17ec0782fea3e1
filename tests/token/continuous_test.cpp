#include "mugato/token/continuous.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <limits>
#include <set>

#include "mugato/core/error.h"
#include "mugato/core/random.h"
#include "mugato/token/vocabulary.h"

namespace mugato {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr double kEpsilon = DBL_EPSILON;

ContinuousCodec mu_law_codec() {
  ContinuousCodec codec;
  codec.mu_law = true;
  return codec;
}

ContinuousCodec linear_codec(double low, double high, int64_t num_bins = 1024) {
  ContinuousCodec codec;
  codec.low = {low};
  codec.high = {high};
  codec.num_bins = num_bins;
  return codec;
}

// Values of every magnitude that a double has, zeros and denormals included.
double value_of_any_size(Random& random) {
  const double sign = random.chance(0.5) ? 1.0 : -1.0;
  switch (random.below(5)) {
    case 0:
      return sign * random.uniform(0.0, 2.0);
    case 1:
      return sign * std::ldexp(1.0 + random.uniform(), static_cast<int>(random.between(-1022, 1023)));
    case 2:
      return sign * static_cast<double>(random.below(1000)) * std::numeric_limits<double>::denorm_min();
    case 3:
      return sign * std::ldexp(1.0, static_cast<int>(random.between(-12, 12)));
    default:
      return sign * DBL_MAX * random.uniform(0.5, 1.0);
  }
}

struct Golden {
  double x, y;
};

// numpy: y = sign(x) * log1p(100 * abs(x)) / log1p(100 * 256), in float64
constexpr Golden kMuLawGolden[] = {{-1000000.0, -1.8147762555784233},
                                   {-256.0, -1.0},
                                   {-3.5, -0.5773953644511707},
                                   {-1.0, -0.45467435446430504},
                                   {-0.5, -0.38735722607926637},
                                   {-1e-08, -9.85183648981876e-08},
                                   {0.0, 0.0},
                                   {1e-300, 9.851841415736184e-300},
                                   {1e-05, 9.846918776514463e-05},
                                   {0.1, 0.23623683959153002},
                                   {2.0, 0.5224731893349337},
                                   {255.9, 0.9999615102299538},
                                   {300.0, 1.015624951642399},
                                   {1e+30, 7.259105018372957}};

// numpy: x = sign(y) * expm1(abs(y) * log(25601)) / 100
constexpr Golden kInverseGolden[] = {{-1.0, -255.99999999999986},
                                     {-0.5, -1.5900312496948297},
                                     {-1.0 / 1024, -9.961778435677601e-05},
                                     {0.0, 0.0},
                                     {1e-09, 1.015038674371991e-10},
                                     {0.25, 0.11649234165335187},
                                     {0.75, 20.229169949243797},
                                     {1.0, 255.99999999999986}};

TEST(MuLaw, EqualsNumpy) {
  for (const auto& [x, y] : kMuLawGolden) EXPECT_NEAR(mu_law(x), y, 4 * kEpsilon * std::abs(y)) << "x = " << x;
}

TEST(MuLaw, InverseEqualsNumpy) {
  // exp amplifies the rounding of its argument, at most log(25601) = 10.2
  for (const auto& [y, x] : kInverseGolden) EXPECT_NEAR(mu_law_inverse(y), x, 16 * kEpsilon * std::abs(x)) << "y = " << y;
}

TEST(MuLaw, InverseUndoesItAtEverySize) {
  Random random(hash_key(3));
  for (int i = 0; i < 20000; ++i) {
    const double x = value_of_any_size(random) * 1e-3;
    const double back = mu_law_inverse(mu_law(x));
    const double argument = std::log1p(std::abs(x) * kMu);
    if (!std::isfinite(argument)) continue;
    const double tolerance = 8 * kEpsilon * (1.0 + argument) * std::abs(x) + std::numeric_limits<double>::denorm_min();
    ASSERT_NEAR(back, x, tolerance) << "x = " << x;
  }
}

TEST(MuLaw, IsOddAndMonotone) {
  Random random(hash_key(4));
  for (int i = 0; i < 20000; ++i) {
    const double a = value_of_any_size(random), b = value_of_any_size(random);
    ASSERT_EQ(mu_law(-a), -mu_law(a));
    ASSERT_LE(mu_law(std::min(a, b)), mu_law(std::max(a, b))) << a << " " << b;
  }
}

// The invariant: half a bin in the encoded domain. One rounding of unit + 1, near 1, is allowed for.
TEST(Continuous, DecodesWithinHalfABinInTheEncodedDomain) {
  Random random(hash_key(5));
  for (int round = 0; round < 300; ++round) {
    const int64_t num_bins = random.chance(0.5) ? 1024 : random.between(1, 3000);
    const bool mu_law = random.chance(0.5);
    double low = -1.0, high = 1.0;
    if (random.chance(0.5)) {
      low = value_of_any_size(random) * 1e-10;
      high = low + std::abs(low) * random.uniform(0.5, 3.0) + random.uniform(0.1, 5.0);
    }
    ContinuousCodec codec = linear_codec(low, high, num_bins);
    codec.mu_law = mu_law;
    const double half_bin = 1.0 / static_cast<double>(codec.num_bins);
    for (int i = 0; i < 200; ++i) {
      const double value = i == 0   ? low
                           : i == 1 ? high
                           : i < 50 ? value_of_any_size(random)
                                    : low + (high - low) * random.uniform();
      const int64_t bin = codec.encode(value);
      ASSERT_TRUE(bin >= 0 && bin < codec.num_bins) << value;
      ASSERT_LE(std::abs(codec.to_unit(value) - codec.bin_center(bin)), half_bin + 4 * kEpsilon)
          << value << " in [" << low << ", " << high << "], mu-law " << codec.mu_law;
    }
  }
}

TEST(Continuous, RawValuesOfALinearRangeComeBackWithinHalfABin) {
  Random random(hash_key(6));
  for (int round = 0; round < 200; ++round) {
    const double low = random.uniform(-50.0, 50.0), high = low + random.uniform(1e-3, 100.0);
    const ContinuousCodec codec = linear_codec(low, high);
    const double half_bin = (high - low) / 2048, slack = 8 * kEpsilon * (std::abs(low) + std::abs(high));
    for (int i = 0; i < 100; ++i) {
      const double value = random.uniform(low, high);
      ASSERT_NEAR(codec.decode(codec.encode(value)), value, half_bin + slack);
    }
  }
}

TEST(Continuous, EveryBinSurvivesDecodeAndEncode) {
  for (const ContinuousCodec& codec : {mu_law_codec(), linear_codec(-1, 1), linear_codec(-0.4, 0.4), linear_codec(3, 900)})
    for (int64_t bin = 0; bin < codec.num_bins; ++bin) {
      ASSERT_EQ(codec.encode(codec.decode(bin)), bin);
      ASSERT_EQ(codec.encode(static_cast<double>(static_cast<float>(codec.decode(bin)))), bin) << "through float32";
    }
}

// N2: +1 became bin 1024 of 1024, the first discrete id, and could not be decoded to.
TEST(Continuous, PlusOneIsInTheLastBinAndNeverADiscreteId) {
  const Vocabulary vocabulary;
  for (const ContinuousCodec& codec : {linear_codec(-1, 1), mu_law_codec()}) {
    for (const double value : {1.0, std::nextafter(1.0, 2.0), 256.0, 1e300, DBL_MAX}) {
      const int64_t bin = codec.encode(value);
      EXPECT_LT(bin, codec.num_bins);
      EXPECT_TRUE(vocabulary.continuous().contains(vocabulary.continuous().begin + bin));
    }
    EXPECT_EQ(codec.encode(codec.mu_law ? 256.0 : 1.0), 1023);
    EXPECT_EQ(codec.encode(codec.mu_law ? -256.0 : -1.0), 0);
  }
}

// M3: rounding up and decoding to the upper edge biased every value.
TEST(Continuous, DecodesToTheCentreWithoutBias) {
  const ContinuousCodec codec = linear_codec(-1, 1);
  EXPECT_DOUBLE_EQ(codec.decode(0), -1.0 + 1.0 / 1024);
  EXPECT_DOUBLE_EQ(codec.decode(1023), 1.0 - 1.0 / 1024);
  double sum = 0.0;
  constexpr int kSteps = 1024 * 16;
  for (int i = 0; i < kSteps; ++i) {
    const double value = -1.0 + (2.0 * i + 1.0) / kSteps;
    sum += codec.decode(codec.encode(value)) - value;
  }
  EXPECT_NEAR(sum / kSteps, 0.0, 1e-12);
}

// M2: bins depended on the other entries of the vector, so every two-dimensional action became (0, last) or (last, 0).
TEST(Continuous, ABinDependsOnItsOwnValueOnly) {
  Random random(hash_key(7));
  const ContinuousCodec codec = linear_codec(-1, 1);
  std::set<int64_t> seen;
  for (int i = 0; i < 200; ++i) {
    const float x = static_cast<float>(random.uniform(-1, 1)), y = static_cast<float>(random.uniform(-1, 1));
    const at::Tensor bins = codec.encode(at::tensor({x, y}), "action");
    ASSERT_EQ(bins[0].item<int64_t>(), codec.encode(static_cast<double>(x)));
    ASSERT_EQ(bins[1].item<int64_t>(), codec.encode(static_cast<double>(y)));
    seen.insert(bins[0].item<int64_t>());
  }
  EXPECT_GT(seen.size(), 100u);
}

TEST(Continuous, BinsAreMonotone) {
  Random random(hash_key(8));
  for (const ContinuousCodec& codec : {mu_law_codec(), linear_codec(-0.4, 2.0)})
    for (int i = 0; i < 20000; ++i) {
      const double a = value_of_any_size(random), b = value_of_any_size(random);
      ASSERT_LE(codec.encode(std::min(a, b)), codec.encode(std::max(a, b))) << a << " " << b;
    }
}

TEST(Continuous, FromUnitIsTheInverseOfToUnit) {
  Random random(hash_key(9));
  for (const ContinuousCodec& codec : {mu_law_codec(), linear_codec(-0.4, 2.0), linear_codec(1000, 1001)})
    for (int i = 0; i < 1000; ++i) {
      const double unit = random.uniform(-1, 1);
      // 1000 / 0.5: how much larger the centre of the last range is than its half width
      ASSERT_NEAR(codec.to_unit(codec.from_unit(unit)), unit, 2000 * 8 * kEpsilon);
    }
  EXPECT_NEAR(linear_codec(-2, 2).from_unit(1.5), 3.0, 1e-15) << "not clipped";
}

TEST(ContinuousTensor, EqualsTheScalarForEveryType) {
  Random random(hash_key(10));
  for (const ContinuousCodec& codec : {mu_law_codec(), linear_codec(-3.0, 2.5)})
    for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kByte}) {
      std::vector<double> raw(60);
      for (double& value : raw) value = random.uniform(0.0, 4.0) * (type == at::kByte ? 1.0 : -1.0) + 0.5;
      const at::Tensor values = at::tensor(raw).to(type).view({5, 4, 3}).transpose(0, 2);
      const at::Tensor bins = codec.encode(values, "state");
      ASSERT_EQ(bins.scalar_type(), at::kLong);
      ASSERT_EQ(bins.sizes(), values.sizes());
      const at::Tensor flat = values.to(at::kDouble).reshape(-1), flat_bins = bins.reshape(-1);
      for (int64_t i = 0; i < flat.numel(); ++i)
        ASSERT_EQ(flat_bins[i].item<int64_t>(), codec.encode(flat[i].item<double>())) << type << " " << i;
      const at::Tensor back = codec.decode(bins);
      ASSERT_EQ(back.scalar_type(), at::kFloat);
      ASSERT_TRUE(at::equal(codec.encode(back, "state"), bins));
    }
}

TEST(ContinuousTensor, CountsTheValuesThatWereClipped) {
  int64_t num_clipped = 5;
  linear_codec(-1, 1).encode(at::tensor({-1.5, -1.0, 0.0, 1.0, 1.0000001, 3.0}), "a", &num_clipped);
  EXPECT_EQ(num_clipped, 5 + 3);
  num_clipped = 0;
  mu_law_codec().encode(at::tensor({-257.0, -256.0, 256.0, 1e30, 2.0}), "a", &num_clipped);
  EXPECT_EQ(num_clipped, 2);
}

TEST(ContinuousTensor, AFloatOnTheLimitIsNotClipped) {
  for (const double limit : {0.1, 0.4, 1.0 / 3.0, 0.7}) {
    int64_t num_clipped = 0;
    const float value = static_cast<float>(limit);
    linear_codec(-limit, limit).encode(at::tensor({value, -value}), "a", &num_clipped);
    EXPECT_EQ(num_clipped, 0) << limit;
    EXPECT_FALSE(linear_codec(-limit, limit).outside(at::tensor({value, -value})).any().item<bool>()) << limit;
    EXPECT_TRUE(linear_codec(-limit, limit).outside(at::tensor({2 * value, -2 * value})).all().item<bool>()) << limit;
  }
}

TEST(ContinuousTensor, NamesFieldAndIndexOfTheFirstValueThatIsNotFinite) {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  for (const auto& [bad, name] : {std::pair{nan, "NaN"}, std::pair{infinity, "inf"}, std::pair{-infinity, "-inf"}})
    for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kHalf})
      for (const ContinuousCodec& codec : {mu_law_codec(), linear_codec(-1, 1)}) {
        at::Tensor values = at::zeros({4, 3, 5}, type);
        values[2][1][3] = bad;
        values[3][2][4] = nan;
        EXPECT_THAT([&] { codec.encode(values, "joint_velocity"); },
                    ThrowsMessage<Error>(AllOf(HasSubstr("'joint_velocity'"), HasSubstr(std::string("value ") + name),
                                               HasSubstr("index 38 (2,1,3)"), HasSubstr("\nhint: "))));
      }
}

TEST(ContinuousTensor, EveryValueOfATimestepMayHaveARangeOfItsOwn) {
  Random random(hash_key(17));
  for (int round = 0; round < 50; ++round) {
    const int64_t num_steps = random.between(1, 5), num_values = random.between(1, 6);
    ContinuousCodec codec;
    codec.low.clear();
    codec.high.clear();
    for (int64_t k = 0; k < num_values; ++k) {
      codec.low.push_back(random.uniform(-10.0, 10.0));
      codec.high.push_back(codec.low.back() + random.uniform(0.1, 9.0));
    }
    const auto values = at::rand({num_steps, num_values}, at::kDouble) * 20.0 - 10.0;
    int64_t num_clipped = 0, clipped = 0;
    const auto bins = codec.encode(values, "state", &num_clipped);
    const auto decoded = codec.decode(bins);
    for (int64_t e = 0; e < num_steps; ++e)
      for (int64_t k = 0; k < num_values; ++k) {
        const double value = values[e][k].item<double>(), low = codec.low[static_cast<size_t>(k)],
                     high = codec.high[static_cast<size_t>(k)];
        const auto alone = linear_codec(low, high);
        clipped += value < low || value > high;
        ASSERT_EQ(bins[e][k].item<int64_t>(), alone.encode(value));
        ASSERT_EQ(bins[e][k].item<int64_t>(), codec.encode(value, k));
        ASSERT_EQ(decoded[e][k].item<float>(), static_cast<float>(alone.decode(alone.encode(value))));
        ASSERT_NEAR(decoded[e][k].item<double>(), std::clamp(value, low, high), (high - low) / 2048 + 1e-5);
      }
    EXPECT_EQ(num_clipped, clipped);
    EXPECT_EQ(codec.outside(values).sum().item<int64_t>(), clipped);
  }
  ContinuousCodec two;
  two.low = {0.0, 1.0};
  two.high = {1.0, 2.0};
  EXPECT_THROW(two.encode(at::zeros({3}), "state"), c10::Error);
}

TEST(ContinuousTensor, RefusesAnEmptyRangeAndComplexValuesByField) {
  EXPECT_THAT([] { linear_codec(1, 1).encode(at::zeros({2}), "speed"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("'speed'"), HasSubstr("is empty"))));
  EXPECT_THAT([] { linear_codec(-1, 1).encode(at::zeros({2}, at::kComplexFloat), "speed"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("'speed'"), HasSubstr("complex"))));
}

// M4: ids of other ranges were folded into valid ones by a modulo and silently became actions.
TEST(ContinuousTensor, DecodeRefusesABinOutOfRange) {
  const ContinuousCodec codec = linear_codec(-1, 1);
  for (const int64_t bin : {int64_t{-1}, int64_t{1024}, int64_t{33024}}) {
    EXPECT_THROW(codec.decode(at::tensor({int64_t{0}, bin})), c10::Error);
    EXPECT_THROW(codec.decode(bin), c10::Error);
    EXPECT_THROW(codec.bin_center(bin), c10::Error);
  }
  EXPECT_THROW(codec.encode(std::nan("")), c10::Error);
}

TEST(ContinuousTensor, EmptyTensorsStayEmpty) {
  const at::Tensor bins = mu_law_codec().encode(at::empty({0, 7}), "state");
  EXPECT_EQ(bins.sizes(), at::IntArrayRef({0, 7}));
  EXPECT_EQ(mu_law_codec().decode(bins).sizes(), at::IntArrayRef({0, 7}));
}

}  // namespace
}  // namespace mugato
