#include "mugato/data/images.h"

#include <gtest/gtest.h>

#include "fake_sources.h"
#include "message_of.h"
#include "mugato/seq/timesteps.h"

namespace mugato::data {
namespace {

using Shape = at::IntArrayRef;

// (1,H,W,3), every pixel its row, its column and 200.
at::Tensor ramp(int64_t height, int64_t width) {
  auto image = at::full({1, height, width, 3}, 200, at::kByte);
  image.select(3, 0).copy_(at::arange(height, at::kByte).view({1, height, 1}));
  image.select(3, 1).copy_(at::arange(width, at::kByte).view({1, 1, width}));
  return image;
}

TEST(Images, PadKeepsThemAsTheyAreUpToTheLongestSide) {
  const auto image = ramp(30, 50);
  EXPECT_TRUE(resize_images(image, {}, "eye").equal(image));
  EXPECT_TRUE(resize_images(image, {.max_side = 50}, "eye").equal(image));
  EXPECT_EQ(resize_images(image, {.max_side = 25}, "eye").sizes(), Shape({1, 15, 25, 3}));
  EXPECT_EQ(resize_images(ramp(200, 3), {.max_side = 20}, "eye").sizes(), Shape({1, 20, 1, 3})) << "no side vanishes";
}

// Half the size: every pixel is the mean of four.
TEST(Images, ShrinkByTheMeanOfWhatEachPixelCovers) {
  at::manual_seed(1);
  const auto image = at::randint(256, {2, 40, 24, 3}, at::kByte);
  const auto mean = image.to(at::kDouble).view({2, 20, 2, 12, 2, 3}).mean(at::IntArrayRef{2, 4});
  const auto half = resize_images(image, {.policy = "resize", .size = {20, 12}}, "eye");
  EXPECT_LE((half.to(at::kDouble) - mean).abs().max().item<double>(), 0.5 + 1e-9);
  EXPECT_TRUE(half.equal(resize_images(image, {.max_side = 20}, "eye")));
}

TEST(Images, ResizeKeepsTheProportionsAndFillsUpWithBlack) {
  Random random(2);
  for (int trial = 0; trial < 100; ++trial) {
    const int64_t height = random.between(1, 90), width = random.between(1, 90), to_height = random.between(1, 70),
                  to_width = random.between(1, 70);
    const auto image = at::full({1, height, width, 3}, 77, at::kByte);
    const auto found = resize_images(image, {.policy = "resize", .size = {to_height, to_width}}, "eye")[0];
    ASSERT_EQ(found.sizes(), Shape({to_height, to_width, 3}));
    const auto filled = found.select(2, 0) > 0;
    const int64_t rows = filled.any(1).sum().item<int64_t>(), columns = filled.any(0).sum().item<int64_t>();
    EXPECT_TRUE(found.narrow(0, 0, rows).narrow(1, 0, columns).eq(77).all().item<bool>());
    EXPECT_TRUE(rows == to_height || columns == to_width) << "it could be larger";
    const double scale = std::min(static_cast<double>(to_height) / static_cast<double>(height),
                                  static_cast<double>(to_width) / static_cast<double>(width));
    EXPECT_NEAR(static_cast<double>(rows), std::max(1.0, scale * static_cast<double>(height)), 0.51);
    EXPECT_NEAR(static_cast<double>(columns), std::max(1.0, scale * static_cast<double>(width)), 0.51);
  }
}

TEST(Images, CropKeepsTheMiddle) {
  const auto same_scale = resize_images(ramp(20, 60), {.policy = "crop", .size = {20, 20}}, "eye");
  EXPECT_TRUE(same_scale.equal(ramp(20, 60).narrow(2, 20, 20)));
  const auto halved = resize_images(ramp(80, 40), {.policy = "crop", .size = {20, 20}}, "eye")[0];
  EXPECT_NEAR(halved[0][5][0].item<int>(), 20, 1) << "rows 20 to 59 of 80";
  EXPECT_NEAR(halved[19][5][0].item<int>(), 59, 1);
  EXPECT_NEAR(halved[7][19][1].item<int>(), 39, 1) << "all columns";
  EXPECT_EQ(resize_images(ramp(1, 250), {.policy = "crop", .size = {64, 64}}, "eye").sizes(), Shape({1, 64, 64, 3}));
}

TEST(Images, GreyAndFloatingOnesBecomeBytesOfThreeColours) {
  const auto grey = at::full({2, 10, 10}, 0.5, at::kFloat);
  for (const ImageOptions& options : {ImageOptions{.max_side = 5}, ImageOptions{.policy = "crop", .size = {5, 5}}}) {
    const auto found = resize_images(grey, options, "eye");
    EXPECT_EQ(found.sizes(), Shape({2, 5, 5, 3}));
    EXPECT_TRUE(found.eq(128).all().item<bool>());
  }
  EXPECT_NE(testing::message_of([&] { resize_images(grey + 1.0, {.max_side = 5}, "eye"); }).find("'eye'"), std::string::npos);
}

// Episodes with pictures of sizes that vary from one to the next.
class EyeSource : public Source {
 public:
  explicit EyeSource(std::vector<int64_t> shape) {
    schema_.fields = {{.name = "eye", .modality = Modality::kImage, .shape = std::move(shape)},
                      {.name = "move", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {5}}};
  }
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return 20; }
  Episode get(int64_t index) const override {
    const auto& shape = schema_.fields[0].shape;
    const auto pixels =
        shape.empty() ? at::zeros({2, 10 + index, 30, 3}, at::kByte) : at::zeros({2, shape[0], shape[1], shape[2]}, at::kByte);
    return {.fields = {{pixels, {}}, {at::zeros({2}, at::kLong), {}}}, .num_steps = 2, .id = "eye " + std::to_string(index)};
  }

 private:
  Schema schema_;
};

TEST(Images, EpisodesAndTheirSchemaAgreeWhateverIsAskedFor) {
  const Tokenizer tokenizer{Vocabulary(), nullptr};
  for (const auto& shape : {std::vector<int64_t>{}, {40, 20, 3}, {24, 24, 1}})
    for (const ImageOptions& options : {ImageOptions{.max_side = 16}, ImageOptions{.policy = "resize", .size = {32, 48}},
                                        ImageOptions{.policy = "crop", .size = {17, 33}}}) {
      const ImageSource source(std::make_shared<EyeSource>(shape), options);
      validate(source.schema(), tokenizer.vocabulary());
      for (int64_t i = 0; i < source.size(); ++i) {
        const auto timesteps = tokenizer.tokenize(source.schema(), source.get(i));
        if (options.policy != "pad") {
          EXPECT_EQ(timesteps.fields[0].tokens_per_step(), 6);
        } else {
          EXPECT_LE(timesteps.fields[0].tokens_per_step(), 2);
        }
      }
    }
}

TEST(Images, OptionsThatContradictEachOtherAreErrors) {
  const auto message = [](const ImageOptions& options) {
    return testing::message_of([&] { validate(options, "[[data]] entry 'x': "); });
  };
  EXPECT_NE(message({.size = {8, 8}}).find("'x': image_size is set"), std::string::npos);
  EXPECT_NE(message({.policy = "crop"}).find("image_size is not set"), std::string::npos);
  EXPECT_NE(message({.policy = "resize", .size = {8, 8}, .max_side = 5}).find("image_max is set"), std::string::npos);
  EXPECT_NO_THROW(validate({.max_side = 5}, ""));
  EXPECT_NO_THROW(validate({.policy = "crop", .size = {8, 8}}, ""));
}

}  // namespace
}  // namespace mugato::data
