// The picture of a sample, read back pixel by pixel.
#include <gtest/gtest.h>

#include "data/fake_sources.h"
#include "mugato/run/inspect.h"

namespace mugato::run {
namespace {

// Random images and the actions that the picture has to show.
Sample sample_of(const Tokenizer& tokenizer, at::IntArrayRef size, const std::vector<int64_t>& actions) {
  auto schema = std::make_shared<Schema>();
  schema->fields = {
      {.name = "image", .modality = Modality::kImage, .shape = {size[0], size[1], 3}},
      {.name = "move", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {data::kNumDiscrete}}};
  const auto steps = static_cast<int64_t>(actions.size());
  at::manual_seed(3);
  Episode episode{.num_steps = steps, .id = "painted"};
  episode.fields = {{at::randint(0, 256, {steps, size[0], size[1], 3}, at::kByte), {}}, {at::tensor(actions, at::kLong), {}}};
  return {.schema = schema, .timesteps = tokenizer.tokenize(*schema, episode)};
}

TEST(Draw, EveryPixelOfEveryPatchIsThereBetweenTheLines) {
  constexpr int64_t kMargin = 8;
  const auto tokenizer = data::test_tokenizer();
  Random random(hash_key(21));
  for (int round = 0; round < 10; ++round) {
    const int64_t height = random.between(1, 70), width = random.between(1, 70);
    const auto sample = sample_of(*tokenizer, {height, width}, {5});
    const auto picture = draw(sample, *tokenizer);
    const auto grid = patch_grid(height, width);
    const int64_t zoom = 224 / (16 * std::max(grid.rows, grid.columns));
    const auto pixels = join_patches(sample.timesteps.fields[0].tokens, 16 * grid.rows, 16 * grid.columns)[0];
    for (int64_t y = 0; y < 16 * grid.rows; ++y)
      for (int64_t x = 0; x < 16 * grid.columns; x += 3)
        ASSERT_TRUE(picture[kMargin + y * zoom + y / 16][kMargin + x * zoom + x / 16].equal(pixels[y][x]))
            << height << "x" << width << ": " << y << "," << x;
  }
}

TEST(Draw, EveryTimestepHasAPanel) {
  const auto tokenizer = data::test_tokenizer();
  const auto one = draw(sample_of(*tokenizer, {20, 40}, {5}), *tokenizer);
  for (const int64_t steps : {2, 3, 7, 20}) {
    const auto all = draw(sample_of(*tokenizer, {20, 40}, std::vector<int64_t>(static_cast<size_t>(steps), 5)), *tokenizer);
    const int64_t down = (all.size(0) + 4) / (one.size(0) + 4), across = (all.size(1) + 4) / (one.size(1) + 4);
    EXPECT_EQ(all.size(0), down * (one.size(0) + 4) - 4);
    EXPECT_EQ(all.size(1), across * (one.size(1) + 4) - 4);
    EXPECT_GE(down * across, steps);
    EXPECT_LT(down * across - steps, across) << "no row is empty";
  }
}

TEST(Draw, AnotherValueIsAnotherPicture) {
  const auto tokenizer = data::test_tokenizer();
  const auto seven = draw(sample_of(*tokenizer, {20, 20}, {7}), *tokenizer),
             eight = draw(sample_of(*tokenizer, {20, 20}, {8}), *tokenizer),
             again = draw(sample_of(*tokenizer, {20, 20}, {7}), *tokenizer);
  EXPECT_TRUE(seven.equal(again));
  ASSERT_EQ(seven.sizes(), eight.sizes());
  const auto differs = (seven != eight).any(-1);
  EXPECT_GT(differs.sum().item<int64_t>(), 3);
  EXPECT_LT(differs.sum().item<int64_t>(), 100) << "one figure";
  EXPECT_FALSE(differs.narrow(0, 0, 8 + 224).any().item<bool>()) << "the image is the same";
}

}  // namespace
}  // namespace mugato::run
