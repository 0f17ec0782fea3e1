#include "mugato/token/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "mugato/core/error.h"
#include "mugato/core/random.h"

namespace mugato {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

at::Tensor random_bytes(Random& random, at::IntArrayRef shape) {
  at::Tensor bytes = at::empty(shape, at::kByte);
  for (int64_t i = 0; i < bytes.numel(); ++i) bytes.mutable_data_ptr<uint8_t>()[i] = static_cast<uint8_t>(random.below(256));
  return bytes;
}

// Pixels one by one, through at(): what cut_patches is compared with. bytes (E,H,W,C).
at::Tensor naive_patches(const at::Tensor& bytes) {
  const int64_t num_images = bytes.size(0), height = bytes.size(1), width = bytes.size(2), num_channels = bytes.size(3);
  const int64_t rows = (height + 15) / 16, columns = (width + 15) / 16;
  at::Tensor patches = at::zeros({num_images, rows * columns, 768}, at::kByte);
  const auto in = bytes.accessor<uint8_t, 4>();
  auto out = patches.accessor<uint8_t, 3>();
  for (int64_t e = 0; e < num_images; ++e)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (int64_t c = 0; c < 3; ++c)
          out[e][(y / 16) * columns + x / 16][((y % 16) * 16 + x % 16) * 3 + c] = in[e][y][x][num_channels == 1 ? 0 : c];
  return patches;
}

TEST(CutPatches, EqualsPixelByPixelForEverySizeTypeAndNumberOfChannels) {
  Random random(hash_key(21));
  for (int round = 0; round < 150; ++round) {
    const int64_t num_channels = std::vector<int64_t>{1, 3, 4}[static_cast<size_t>(random.below(3))];
    const at::Tensor bytes =
        random_bytes(random, {random.between(1, 3), random.between(1, 70), random.between(1, 70), num_channels});
    const at::Tensor expected = naive_patches(bytes);
    ASSERT_TRUE(at::equal(cut_patches(bytes, "image"), expected)) << bytes.sizes();
    ASSERT_TRUE(at::equal(cut_patches(bytes.to(at::kFloat) / 255, "image"), expected)) << bytes.sizes();
    ASSERT_TRUE(at::equal(cut_patches(bytes.to(at::kDouble) / 255, "image"), expected)) << bytes.sizes();
    if (num_channels == 1) {
      ASSERT_TRUE(at::equal(cut_patches(bytes.squeeze(3), "image"), expected)) << "(E,H,W)";
    }
  }
}

TEST(CutPatches, FloatsAreRoundedToTheNearestByte) {
  Random random(hash_key(22));
  const at::Tensor unit = at::empty({1, 16, 16, 3}, at::kDouble);
  for (int64_t i = 0; i < 768; ++i) unit.mutable_data_ptr<double>()[i] = random.uniform();
  const at::Tensor patch = cut_patches(unit, "image").view(-1);
  for (int64_t i = 0; i < 768; ++i) ASSERT_EQ(patch[i].item<int64_t>(), std::lround(unit.view(-1)[i].item<double>() * 255.0));
  EXPECT_EQ(cut_patches(at::full({1, 1, 1}, 0.5 / 255), "image")[0][0][0].item<int64_t>(), 1) << "half goes up";
}

TEST(CutPatches, HalfPrecisionAndStridedImagesAreTakenToo) {
  Random random(hash_key(23));
  const at::Tensor bytes = random_bytes(random, {2, 3, 20, 33});
  const at::Tensor strided = bytes.permute({0, 2, 3, 1});  // channels first in memory
  ASSERT_FALSE(strided.is_contiguous());
  EXPECT_TRUE(at::equal(cut_patches(strided, "image"), naive_patches(strided.contiguous())));
  const at::Tensor zero_or_one = bytes.permute({0, 2, 3, 1}).gt(100);
  EXPECT_TRUE(at::equal(cut_patches(zero_or_one.to(at::kHalf), "image"),
                        naive_patches((zero_or_one.to(at::kByte) * 255).contiguous())));
}

TEST(CutPatches, PaddingIsBlackAndAtTheRightAndTheBottomOnly) {
  const at::Tensor patches = cut_patches(at::full({1, 20, 40, 3}, 255, at::kByte), "image");
  ASSERT_EQ(patches.sizes(), at::IntArrayRef({1, 2 * 3, 768}));
  const at::Tensor tiles = patches.view({2, 3, 16, 16, 3});
  for (int64_t row = 0; row < 2; ++row)
    for (int64_t column = 0; column < 3; ++column)
      for (int64_t y = 0; y < 16; ++y)
        for (int64_t x = 0; x < 16; ++x) {
          const int64_t expected = row * 16 + y < 20 && column * 16 + x < 40 ? 255 : 0;
          for (int64_t c = 0; c < 3; ++c)
            ASSERT_EQ(tiles[row][column][y][x][c].item<int64_t>(), expected) << row << column << y << x << c;
        }
}

TEST(CutPatches, AlphaIsDropped) {
  Random random(hash_key(24));
  const at::Tensor rgba = random_bytes(random, {1, 30, 17, 4});
  EXPECT_TRUE(at::equal(cut_patches(rgba, "image"), cut_patches(rgba.narrow(3, 0, 3), "image")));
}

TEST(CutPatches, NoTimestepsGiveNoPatches) {
  EXPECT_EQ(cut_patches(at::empty({0, 20, 20, 3}, at::kByte), "image").sizes(), at::IntArrayRef({0, 4, 768}));
}

TEST(CutPatches, RefusesOtherShapesAndTypesByField) {
  const auto message_of = [](const at::Tensor& images) { return [images] { cut_patches(images, "camera"); }; };
  const auto says = [](const std::string& text) {
    return ThrowsMessage<Error>(AllOf(HasSubstr("field 'camera'"), HasSubstr(text), HasSubstr("\nhint: ")));
  };
  EXPECT_THAT(message_of(at::zeros({20, 20}, at::kByte)), says("(20,20)"));
  EXPECT_THAT(message_of(at::zeros({1, 1, 20, 20, 3}, at::kByte)), says("(1,1,20,20,3)"));
  EXPECT_THAT(message_of(at::zeros({1, 20, 20, 2}, at::kByte)), says("2 channels"));
  EXPECT_THAT(message_of(at::zeros({1, 3, 20, 20}, at::kByte)), says("20 channels"));  // channels first
  EXPECT_THAT(message_of(at::zeros({1, 20, 20, 0}, at::kByte)), says("0 channels"));
  EXPECT_THAT(message_of(at::zeros({1, 0, 20, 3}, at::kByte)), says("empty"));
  EXPECT_THAT(message_of(at::zeros({1, 20, 0, 3}, at::kByte)), says("empty"));
  EXPECT_THAT(message_of(at::zeros({1, 20, 20, 3}, at::kLong)), says("Long"));
  EXPECT_THAT(message_of(at::zeros({1, 20, 20, 3}, at::kChar)), says("Char"));
}

TEST(CutPatches, NamesTheFirstPixelThatIsOutsideOfTheUnitRange) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kHalf})
    for (const double bad : {std::nan(""), 1.5, -0.25, 255.0, std::numeric_limits<double>::infinity()}) {
      at::Tensor images = at::full({3, 20, 30, 3}, 0.5, type);
      images[1][2][4][2] = bad;
      images[2][0][0][0] = -9.0;
      const int64_t index = ((1 * 20 + 2) * 30 + 4) * 3 + 2;
      EXPECT_THAT([&] { cut_patches(images, "camera"); },
                  ThrowsMessage<Error>(AllOf(HasSubstr("field 'camera'"),
                                             HasSubstr("index " + std::to_string(index) + " (1,2,4,2)"), HasSubstr("[0, 1]"))))
          << bad;
    }
}

TEST(JoinPatches, IsTheInverseOfCutting) {
  Random random(hash_key(25));
  for (int round = 0; round < 60; ++round) {
    const at::Tensor images = random_bytes(random, {random.between(0, 3), random.between(1, 70), random.between(1, 70), 3});
    ASSERT_TRUE(at::equal(join_patches(cut_patches(images, "image"), images.size(1), images.size(2)), images));
  }
}

TEST(JoinPatches, RefusesPatchesOfAnotherSize) {
  const at::Tensor patches = cut_patches(at::zeros({1, 20, 40, 3}, at::kByte), "image");
  EXPECT_THROW(join_patches(patches, 20, 49), c10::Error);
  EXPECT_THROW(join_patches(patches.narrow(2, 0, 700), 20, 40), c10::Error);
  EXPECT_THROW(join_patches(patches.to(at::kFloat), 20, 40), c10::Error);
}

TEST(NormalizePatches, EqualsThePapersFormulaInDouble) {
  Random random(hash_key(26));
  const at::Tensor patches =
      at::cat({at::arange(768, at::kLong).remainder(256).to(at::kByte).view({1, 768}), random_bytes(random, {37, 768})});
  const at::Tensor normalized = normalize_patches(patches);
  ASSERT_EQ(normalized.sizes(), at::IntArrayRef({38, 3, 16, 16}));
  ASSERT_EQ(normalized.scalar_type(), at::kFloat);
  const auto bytes = patches.accessor<uint8_t, 2>();
  const auto values = normalized.accessor<float, 4>();
  for (int64_t p = 0; p < 38; ++p)
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t y = 0; y < 16; ++y)
        for (int64_t x = 0; x < 16; ++x) {
          const double byte = bytes[p][(y * 16 + x) * 3 + c];
          const double expected = (byte / 255.0 * 2.0 - 1.0) / 4.0;
          // one rounding to float, plus that of the formula in double near its zero
          ASSERT_NEAR(static_cast<double>(values[p][c][y][x]), expected, 0x1p-24 * std::abs(expected) + 1e-16) << byte;
        }
}

// M9: a minimum and maximum taken per patch made flat black, grey and white patches nearly the same.
TEST(NormalizePatches, KeepsTheBrightnessOfFlatPatches) {
  const at::Tensor flat = at::arange(256, at::kLong).to(at::kByte).view({256, 1}).expand({256, 768});
  const at::Tensor normalized = normalize_patches(flat).view({256, -1});
  EXPECT_TRUE(at::equal(normalized.amin(1), normalized.amax(1))) << "flat stays flat";
  const at::Tensor level = normalized.select(1, 0);
  EXPECT_EQ(level[0].item<float>(), -0.25f);
  EXPECT_EQ(level[255].item<float>(), 0.25f);
  EXPECT_EQ(level[51].item<float>(), -0.15f);
  for (int64_t byte = 0; byte < 256; ++byte) {
    EXPECT_EQ(level[byte].item<float>(), -level[255 - byte].item<float>());
    if (byte > 0) {
      EXPECT_GT(level[byte].item<float>(), level[byte - 1].item<float>()) << "levels stay distinct";
    }
  }
}

TEST(NormalizePatches, TakesViewsAndNoPatches) {
  Random random(hash_key(27));
  const at::Tensor patches = random_bytes(random, {6, 768});
  const at::Tensor every_other = patches.slice(0, 0, 6, 2);
  EXPECT_TRUE(at::equal(normalize_patches(every_other), normalize_patches(every_other.contiguous())));
  EXPECT_EQ(normalize_patches(patches.narrow(0, 0, 0)).sizes(), at::IntArrayRef({0, 3, 16, 16}));
}

TEST(NormalizePatches, RefusesWhatIsNotPatchBytes) {
  EXPECT_THROW(normalize_patches(at::zeros({2, 768})), c10::Error);
  EXPECT_THROW(normalize_patches(at::zeros({2, 767}, at::kByte)), c10::Error);
  EXPECT_THROW(normalize_patches(at::zeros({1, 2, 768}, at::kByte)), c10::Error);
}

// N9: more than 128 patches along an axis were an error. T6: the rounded mean could be 128 of a table of 128.
TEST(PatchInterval, CoversAllBucketsInOrderAndStaysInTheTable) {
  for (int64_t num_patches = 1; num_patches <= 700; ++num_patches) {
    int64_t covered = 0, last_mean = 0;
    for (int64_t i = 0; i < num_patches; ++i) {
      const BucketInterval interval = patch_interval(i, num_patches);
      ASSERT_LT(interval.begin, interval.end) << i << " of " << num_patches;
      ASSERT_GE(interval.begin, 0);
      ASSERT_LE(interval.end, kPatchPositionBuckets) << i << " of " << num_patches;
      ASSERT_LE(interval.begin, covered) << "a bucket is left out before patch " << i << " of " << num_patches;
      if (num_patches <= kPatchPositionBuckets) {
        ASSERT_EQ(interval.begin, covered) << "patches share a bucket";
      }
      covered = std::max(covered, interval.end);
      ASSERT_TRUE(interval.mean() >= interval.begin && interval.mean() < interval.end) << i << " of " << num_patches;
      ASSERT_GE(interval.mean(), last_mean);
      last_mean = interval.mean();
    }
    ASSERT_EQ(covered, kPatchPositionBuckets) << num_patches;
  }
}

TEST(PatchInterval, MeanIsRoundedHalfUpLikeTheFormula) {
  for (int64_t num_patches = 1; num_patches <= 300; ++num_patches)
    for (int64_t i = 0; i < num_patches; ++i) {
      const BucketInterval interval = patch_interval(i, num_patches);
      const double mean = 0.5 * static_cast<double>(interval.begin + interval.end - 1);
      ASSERT_EQ(interval.mean(), static_cast<int64_t>(std::floor(mean + 0.5)));
    }
}

TEST(PatchInterval, KnownIntervals) {
  const BucketInterval whole = patch_interval(0, 1), second = patch_interval(1, 3), last = patch_interval(255, 256);
  EXPECT_EQ(std::pair(whole.begin, whole.end), std::pair(int64_t{0}, int64_t{128}));
  EXPECT_EQ(whole.mean(), 64);
  EXPECT_EQ(std::pair(second.begin, second.end), std::pair(int64_t{42}, int64_t{85}));
  EXPECT_EQ(std::pair(last.begin, last.end), std::pair(int64_t{127}, int64_t{128}));
  EXPECT_THROW(patch_interval(-1, 3), c10::Error);
  EXPECT_THROW(patch_interval(3, 3), c10::Error);
}

// The kernel and the CPU round once, at the same place: they agree bit for bit. Fails where there is no GPU.
TEST(GpuPatches, KernelEqualsTheCpuBitForBit) {
  Random random(hash_key(28));
  for (const int64_t num_patches : {1, 2, 3, 4, 5, 63, 257, 4099}) {
    const at::Tensor patches = random_bytes(random, {num_patches, 768});
    const at::Tensor on_device = normalize_patches(patches.to(at::kCUDA));
    ASSERT_TRUE(on_device.is_cuda());
    ASSERT_TRUE(at::equal(on_device.cpu(), normalize_patches(patches))) << num_patches;
  }
}

TEST(GpuPatches, EveryByteValueAndEveryPlaceInAPatch) {
  const at::Tensor shifts = at::arange(256, at::kLong).view({256, 1});
  const at::Tensor patches = (at::arange(768, at::kLong).view({1, 768}) + shifts).remainder(256).to(at::kByte);
  EXPECT_TRUE(at::equal(normalize_patches(patches.to(at::kCUDA)).cpu(), normalize_patches(patches)));
}

TEST(GpuPatches, ViewsThatStartAnywhereAndNoPatches) {
  Random random(hash_key(29));
  const at::Tensor bytes = random_bytes(random, {7 + 768 * 5});
  const at::Tensor on_device = bytes.to(at::kCUDA);
  for (const int64_t begin : {0, 1, 7}) {
    const at::Tensor view = on_device.narrow(0, begin, 768 * 5).view({5, 768});
    EXPECT_TRUE(at::equal(normalize_patches(view).cpu(), normalize_patches(bytes.narrow(0, begin, 768 * 5).view({5, 768}))));
  }
  EXPECT_EQ(normalize_patches(on_device.narrow(0, 0, 0).view({0, 768})).size(0), 0);
}

}  // namespace
}  // namespace mugato
