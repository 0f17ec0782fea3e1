#include "mugato/data/world_source.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "mugato/core/error.h"
#include "mugato/core/random.h"
#include "mugato/data/sources.h"

namespace mugato::data {
namespace {

struct Built {
  Built() {
    env::register_builtins(worlds);
    register_builtins(sources, worlds);
  }
  std::unique_ptr<Source> build(const std::string& name, Split split) const {
    return sources.build(name, DataEntry{.source = name}, split);
  }
  env::EnvironmentRegistry worlds{"environment"};
  SourceRegistry sources{"data source"};
};

bool same_episode(const Episode& a, const Episode& b) {
  if (a.num_steps != b.num_steps || a.fields.size() != b.fields.size()) return false;
  for (size_t i = 0; i < a.fields.size(); ++i) {
    if (a.fields[i].text != b.fields[i].text) return false;
    if (a.fields[i].values.defined() != b.fields[i].values.defined()) return false;
    if (a.fields[i].values.defined() && !a.fields[i].values.equal(b.fields[i].values)) return false;
  }
  return true;
}

TEST(WorldSource, TrainingAndEvaluationNeverShareASeed) {
  Random random(1);
  std::vector<int64_t> indices{0, 1, 2, Source::kUnbounded - 1};
  for (int trial = 0; trial < 1000; ++trial) indices.push_back(random.below(Source::kUnbounded));
  std::set<uint64_t> training;
  for (const int64_t index : indices) training.insert(world_seed(Split::kTrain, index));
  EXPECT_EQ(training.size(), std::set<int64_t>(indices.begin(), indices.end()).size());
  for (const int64_t index : indices) EXPECT_FALSE(training.contains(world_seed(Split::kEvaluation, index)));
}

TEST(WorldSource, AnEpisodeIsTheExpertsOnTheSeedOfItsSplit) {
  const Built built;
  for (const auto& name : built.worlds.names()) {
    const auto world = built.worlds.build(name);
    for (const auto split : {Split::kTrain, Split::kEvaluation}) {
      const auto source = built.build(name, split);
      EXPECT_EQ(source->size(), Source::kUnbounded);
      for (const int64_t index : {int64_t{5}, int64_t{0}, int64_t{1} << 50}) {
        const auto episode = source->get(index);
        EXPECT_TRUE(same_episode(episode, env::demonstrate(*world, world_seed(split, index)))) << name << " " << index;
        EXPECT_EQ(episode.id, name + " episode " + std::to_string(index));
      }
    }
    EXPECT_FALSE(same_episode(built.build(name, Split::kTrain)->get(3), built.build(name, Split::kEvaluation)->get(3)));
  }
}

TEST(WorldSource, ThreadsGetWhatOneThreadGets) {
  const Built built;
  for (const std::string name : {"four_rooms", "stories"}) {
    const auto source = built.build(name, Split::kTrain);
    std::vector<Episode> found(60);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (size_t i = t; i < found.size(); i += 4) found[i] = source->get(static_cast<int64_t>(i));
      });
    for (auto& thread : threads) thread.join();
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_TRUE(same_episode(found[i], built.build(name, Split::kTrain)->get(static_cast<int64_t>(i)))) << name << " " << i;
  }
}

TEST(StoriesSource, DocumentsAreTheGrammarsAndSplitsDiffer) {
  const StoriesSource train(Split::kTrain), evaluation(Split::kEvaluation);
  for (int64_t i = 0; i < 20; ++i) {
    const auto episode = train.get(i);
    EXPECT_EQ(episode.num_steps, 1);
    EXPECT_EQ(episode.fields[0].text[0], train.stories().tell(env::train_seed(static_cast<uint64_t>(i))).text);
    EXPECT_NE(episode.fields[0].text[0], evaluation.get(i).fields[0].text[0]);
  }
}

TEST(SourceRegistry, AnUnknownSourceIsAnErrorThatNamesTheNearest) {
  const Built built;
  try {
    built.build("four_room", Split::kTrain);
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("'four_room'"), std::string::npos) << message;
    EXPECT_NE(message.find("did you mean 'four_rooms'?"), std::string::npos) << message;
    EXPECT_EQ(error.exit_code(), 2);
  }
}

}  // namespace
}  // namespace mugato::data
