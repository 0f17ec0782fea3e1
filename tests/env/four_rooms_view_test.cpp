// What is seen of the grid world: images, seeds, pictures.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "env/four_rooms_reading.h"
#include "mugato/env/four_rooms.h"

namespace mugato::env {
namespace {

std::string fingerprint(const FourRooms::Scene& scene) {
  std::string all;
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 8; ++x) all += content(scene, x, y) + ",";
  return all + name_of_object(scene.objects[scene.target]);
}

// Every cell's pixels are a function of what it holds, and what it holds is a function of its pixels: over many states all
// 18 contents are met, with 18 different looks. So image and direction give back the state.
TEST(EnvFourRooms, ImageShowsTheState) {
  FourRooms world;
  std::map<std::string, std::string> looks, contents;  // by content; by pixels
  for (uint64_t seed = 0; seed < 150; ++seed) {
    auto observation = world.reset(seed);
    for (bool done = false; !done;) {
      const auto image = image_of(observation);
      ASSERT_EQ(image.sizes(), at::IntArrayRef({64, 64, 3}));
      const auto* pixels = image.const_data_ptr<uint8_t>();
      for (int64_t y = 0; y < 8; ++y)
        for (int64_t x = 0; x < 8; ++x) {
          std::string look;
          for (int64_t row = 0; row < 8; ++row)
            look.append(reinterpret_cast<const char*>(pixels) + ((y * 8 + row) * 64 + x * 8) * 3, 24);
          const auto held = content(world.scene(), x, y);
          ASSERT_EQ(looks.emplace(held, look).first->second, look) << held << " has two looks";
          ASSERT_EQ(contents.emplace(look, held).first->second, held) << "one look for two contents";
        }
      auto result = world.step(world.expert());
      observation = std::move(result.observation);
      done = result.done;
    }
  }
  EXPECT_EQ(looks.size(), 18U);  // floor, wall, 4 agents, 12 objects
}

TEST(EnvFourRooms, IsAFunctionOfTheSeed) {
  constexpr uint64_t kSeeds = 60;
  const auto play = [](uint64_t first) {  // every instance starts elsewhere in the circle of seeds
    std::vector<Episode> seen(kSeeds);
    FourRooms world;
    for (uint64_t i = 0; i < kSeeds; ++i) seen[(first + i) % kSeeds] = demonstrate(world, (first + i) % kSeeds);
    return seen;
  };
  const auto expected = play(0);
  std::vector<std::vector<Episode>> others(3);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < others.size(); ++i) threads.emplace_back([&, i] { others[i] = play(15 * (i + 1)); });
  for (auto& thread : threads) thread.join();
  for (const auto& other : others)
    for (size_t seed = 0; seed < kSeeds; ++seed) {
      EXPECT_EQ(other[seed].fields[0].text, expected[seed].fields[0].text);
      for (size_t field = 1; field < 4; ++field)
        EXPECT_TRUE(at::equal(other[seed].fields[field].values, expected[seed].fields[field].values));
    }
}

TEST(EnvFourRooms, TrainingAndEvaluationAreApart) {
  FourRooms world;
  std::set<std::string> seen;
  for (uint64_t i = 0; i < 1000; ++i)
    for (const uint64_t seed : {train_seed(i), evaluation_seed(i)}) {
      world.reset(seed);
      EXPECT_TRUE(seen.insert(fingerprint(world.scene())).second);
    }
}

TEST(EnvFourRooms, ObservationsAreTheCallersToKeep) {
  FourRooms world, untouched;
  const auto first = world.reset(3);
  untouched.reset(3);
  const auto copy = image_of(first).clone();
  for (int i = 0; i < 3; ++i) {
    const auto expert = world.expert();
    const auto seen = world.step(expert).observation, expected = untouched.step(expert).observation;
    EXPECT_TRUE(at::equal(image_of(seen), image_of(expected))) << "whatever was done with an observation before";
    image_of(seen).fill_(7);
  }
  EXPECT_TRUE(at::equal(image_of(first), copy)) << "later steps do not write into an observation";
}

TEST(EnvFourRooms, PictureIsForPeople) {
  FourRooms world;
  world.reset(1);
  const auto picture = world.picture();
  EXPECT_EQ(picture.scalar_type(), at::kByte);
  EXPECT_EQ(picture.sizes(), at::IntArrayRef({560, 512, 3}));
  EXPECT_TRUE(at::equal(picture, world.picture()));
  const auto agent = picture[world.scene().y * 64 + 32][world.scene().x * 64 + 32];
  EXPECT_EQ(agent.min().item<uint8_t>(), 255);
  world.step(world.expert());
  EXPECT_FALSE(at::equal(picture, world.picture()));
}

TEST(ShapesOfFourRooms, ADemonstrationHasEveryFieldAtEveryTimestep) {
  FourRooms world;
  for (uint64_t i = 0; i < 20; ++i) {
    const auto episode = demonstrate(world, train_seed(i));
    const int64_t E = episode.num_steps;
    ASSERT_EQ(episode.fields.size(), 4U);
    EXPECT_EQ(episode.fields[0].text.size(), static_cast<size_t>(E));              // mission
    EXPECT_EQ(episode.fields[1].values.sizes(), at::IntArrayRef({E, 64, 64, 3}));  // image: 16 patches of 16x16x3
    EXPECT_EQ(episode.fields[2].values.sizes(), at::IntArrayRef({E}));             // direction: one id
    EXPECT_EQ(episode.fields[3].values.sizes(), at::IntArrayRef({E}));             // action: one id
    EXPECT_EQ(episode.fields[1].values.scalar_type(), at::kByte);
    EXPECT_EQ(episode.fields[3].values.scalar_type(), at::kLong);
    EXPECT_LE(E, world.max_steps());
  }
}

}  // namespace
}  // namespace mugato::env
