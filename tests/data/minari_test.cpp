#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "message_of.h"
#include "minari_editing.h"
#include "mugato/core/files.h"
#include "mugato/data/digest.h"
#include "mugato/seq/timesteps.h"

namespace mugato::data {
namespace {

using mugato::testing::message_of;
using nlohmann::json;
using testing::minari_fixture;
using testing::open_minari;
namespace fs = std::filesystem;

// Equal but for sums, which NumPy adds in another order.
void expect_same(const json& found, const json& expected, const std::string& where) {
  if (!expected.is_object()) {
    EXPECT_EQ(found, expected) << where;
    return;
  }
  for (const auto& [key, value] : expected.items()) {
    ASSERT_TRUE(found.is_object() && found.contains(key)) << where << "/" << key;
    if (key == "sum")
      EXPECT_NEAR(found[key].get<double>(), value.get<double>(), 1e-9 * (1 + std::abs(value.get<double>()))) << where;
    else expect_same(found[key], value, where + "/" + key);
  }
  EXPECT_EQ(found.size(), expected.size()) << where;
}

void expect_read_as_minari_does(const fs::path& data_set, const json& expected) {
  const auto source = open_minari(data_set);
  auto about = expected;
  for (const char* key : {"episodes", "total_episodes", "total_steps"}) about.erase(key);
  EXPECT_EQ(json::parse(source->about()), about) << data_set;
  ASSERT_EQ(source->size(), static_cast<int64_t>(expected["episodes"].size())) << data_set;
  for (const char* time : {" first", " second"})  // HDF5's own library finds what is read without it from then on
    for (int64_t i = 0; i < source->size(); ++i)
      expect_same(json::parse(digest(source->raw(i))), expected["episodes"][static_cast<size_t>(i)],
                  data_set.string() + " episode " + std::to_string(i) + time);
}

TEST(Minari, ReadsEveryRecordedSetAsMinariDoes) {
  int num_sets = 0;
  for (const auto& file : fs::directory_iterator(fs::path(MUGATO_FIXTURES) / "minari_expected")) {
    const auto expected = testing::read_json(file.path());
    expect_read_as_minari_does(minari_fixture(expected["dataset_id"]), expected);
    ++num_sets;
  }
  EXPECT_EQ(num_sets, 9);
}

TEST(Minari, ReadsArrowAndParquetAsMinariDoes) {
  const auto folder = fs::path(MUGATO_FIXTURES) / "minari_arrow";
  int num_sets = 0;
  for (const auto& file : fs::directory_iterator(folder / "expected")) {
    const auto expected = testing::read_json(file.path());
    expect_read_as_minari_does(folder / expected["dataset_id"], expected);
    ++num_sets;
  }
  EXPECT_EQ(num_sets, 8);
}

// What an episode is made of is what its raw leaves hold, without the last observation.
void expect_episode_is_of_raw(const Source& source, int64_t index, const std::map<std::string, std::string>& names) {
  const auto episode = source.get(index);
  const auto raw = source.raw(index);
  EXPECT_EQ(episode.num_steps, raw.num_steps);
  double total = 0;
  for (const auto& leaf : raw.leaves)
    if (leaf.name == "rewards") total = leaf.values.to(at::kDouble).sum().item<double>();
  EXPECT_DOUBLE_EQ(episode.total_return, total);
  EXPECT_EQ(source.episode_return(index), episode.total_return);
  for (const auto& [field_name, leaf_name] : names) {
    const auto i = static_cast<size_t>(source.schema().index_of(field_name));
    const auto leaf = std::find_if(raw.leaves.begin(), raw.leaves.end(),
                                   [&, &name = leaf_name](const Leaf& one) { return one.group + ":" + one.name == name; });
    ASSERT_NE(leaf, raw.leaves.end()) << leaf_name;
    const auto& field = source.schema().fields[i];
    if (field.modality == Modality::kText) {
      const auto& text = episode.fields[i].text;
      ASSERT_EQ(static_cast<int64_t>(text.size()), raw.num_steps);
      EXPECT_TRUE(std::equal(text.begin(), text.end(), leaf->text.begin()));
      continue;
    }
    const auto wanted = leaf->values.narrow(0, 0, raw.num_steps);
    EXPECT_EQ(episode.fields[i].values.scalar_type(), field.modality == Modality::kContinuous ? at::kFloat
                                                      : field.modality == Modality::kImage    ? at::kByte
                                                                                              : at::kLong);
    EXPECT_TRUE(episode.fields[i].values.to(at::kDouble).allclose(wanted.to(at::kDouble), 1e-6, 1e-6)) << field_name;
  }
}

TEST(Minari, EpisodesOfBabyAi) {
  const auto source = open_minari(minari_fixture("babyai/gotolocal/bot-v0"));
  const auto& direction = source->schema().field("direction");
  EXPECT_EQ(direction.modality, Modality::kDiscrete);
  EXPECT_EQ(direction.num_values, std::vector<int64_t>{4});
  EXPECT_TRUE(direction.shape.empty());
  const auto& image = source->schema().field("image");  // ids, not a picture
  EXPECT_EQ(image.modality, Modality::kDiscrete);
  EXPECT_TRUE(image.cells);
  EXPECT_EQ(image.shape, (std::vector<int64_t>{7, 7, 3}));
  EXPECT_EQ(image.num_values, (std::vector<int64_t>{256, 256, 256}));
  EXPECT_EQ(source->schema().field("mission").modality, Modality::kText);
  const auto& action = source->schema().field("action");
  EXPECT_EQ(action.role, Role::kAction);
  EXPECT_EQ(action.num_values, std::vector<int64_t>{7});
  for (int64_t i = 0; i < source->size(); ++i)
    expect_episode_is_of_raw(*source, i,
                             {{"direction", "observations:direction"},
                              {"image", "observations:image"},
                              {"mission", "observations:mission"},
                              {"action", "actions:"}});
  EXPECT_THAT(source->get(3).id, ::testing::HasSubstr("bot-v0/data/main_data.hdf5 episode 3"));
}

TEST(Minari, PicturesAreJpegRawOrGrey) {
  for (const std::string id : {"babyai/gotolocal-rgb/bot-v0", "babyai/gotolocal-rgb-raw/bot-v0"}) {
    const auto source = open_minari(minari_fixture(id));
    EXPECT_EQ(source->schema().field("image").modality, Modality::kImage);
    EXPECT_EQ(source->schema().field("image").shape, (std::vector<int64_t>{56, 56, 3}));
    expect_episode_is_of_raw(*source, 1, {{"image", "observations:image"}});
  }
  const auto grey = open_minari(minari_fixture("atari/pong84/random-v0"));
  EXPECT_EQ(grey->schema().field("observation").shape, (std::vector<int64_t>{84, 84, 1}));
  EXPECT_EQ(grey->get(0).fields[0].values.sizes(), (std::vector<int64_t>{20, 84, 84}));
}

TEST(Minari, ContinuousLeavesAreMuLawReadAndLinearlyWritten) {
  const auto pendulum = open_minari(minari_fixture("control/pendulum/expert-v0"));
  EXPECT_TRUE(pendulum->schema().field("observation").mu_law);
  const auto& torque = pendulum->schema().field("action");
  EXPECT_FALSE(torque.mu_law);
  EXPECT_EQ(torque.shape, std::vector<int64_t>{1});
  EXPECT_EQ(torque.low, std::vector<double>{-2});
  EXPECT_EQ(torque.high, std::vector<double>{2});
  const auto maze = open_minari(minari_fixture("control/pointmaze-umaze/waypoint-v0"));
  EXPECT_EQ(maze->schema().fields.size(), 4);
  expect_episode_is_of_raw(
      *maze, 0,
      {{"achieved_goal", "observations:achieved_goal"}, {"observation", "observations:observation"}, {"action", "actions:"}});
}

TEST(Minari, DictsAndTuplesGiveAFieldForEveryLeaf) {
  const auto mixed = open_minari(fs::path(MUGATO_FIXTURES) / "minari_arrow" / "parquet-mixed-v0");
  std::vector<std::string> names;
  for (const auto& field : mixed->schema().fields) names.push_back(field.name);
  EXPECT_EQ(names, (std::vector<std::string>{"direction", "grid", "image", "inner/flags", "inner/speed", "mission", "action/0",
                                             "action/1", "action/2"}));
  EXPECT_EQ(mixed->schema().field("grid").num_values, (std::vector<int64_t>{10, 10, 10}));
  EXPECT_EQ(mixed->schema().field("inner/flags").num_values, std::vector<int64_t>{2});
  EXPECT_EQ(mixed->schema().field("action/1").num_values, std::vector<int64_t>{5});
  validate(mixed->schema(), Vocabulary({.text_size = 256, .num_discrete = 1024}));
  // Discrete values count from the space's start, here 1.
  const auto episode = mixed->get(2);
  const auto raw = mixed->raw(2);
  ASSERT_EQ(raw.leaves[0].name, "direction");
  EXPECT_TRUE(episode.fields[0].values.equal(raw.leaves[0].values.narrow(0, 0, 6) - 1));
  expect_episode_is_of_raw(*mixed, 0,
                           {{"image", "observations:image"},
                            {"inner/speed", "observations:inner/speed"},
                            {"mission", "observations:mission"},
                            {"action/2", "actions:2"}});
  const auto pair = open_minari(fs::path(MUGATO_FIXTURES) / "minari_arrow" / "arrow-pair-v0");
  EXPECT_EQ(pair->schema().fields[0].name, "0");
  EXPECT_EQ(pair->schema().fields[1].name, "1/word");
  EXPECT_GE(pair->get(0).fields[2].values.min().item<int64_t>(), 0);
}

TEST(Minari, AnIdIsLookedForUnderMinarisRoot) {
  ASSERT_EQ(::setenv("MINARI_DATASETS_PATH", (std::string(MUGATO_FIXTURES) + "/minari").c_str(), 1), 0);
  EXPECT_EQ(open_minari("minigrid/fourrooms/bfs-v0")->size(), 5);
  const auto message = message_of([] { open_minari("minigrid/fiverooms/bfs-v0"); });
  EXPECT_THAT(message, ::testing::HasSubstr("'minigrid/fiverooms/bfs-v0'"));
  EXPECT_THAT(message, ::testing::HasSubstr("fixtures/minari/minigrid/fiverooms/bfs-v0/data"));
  ::unsetenv("MINARI_DATASETS_PATH");
  EXPECT_THAT(message_of([] { open_minari(""); }), ::testing::HasSubstr("needs a path"));
}

TEST(Minari, CamerasAreImageFields) {
  const auto path = minari_fixture("babyai/gotolocal-rgb/bot-v0");
  EXPECT_EQ(open_minari(path, {"image"})->schema().fields.size(), 4);
  const auto message = message_of([&] { open_minari(path, {"mission"}); });
  EXPECT_THAT(message, ::testing::HasSubstr("no image field 'mission'"));
  EXPECT_THAT(message, ::testing::HasSubstr("its images are: image"));
}

TEST(Minari, ThreadsGetWhatOneThreadGets) {
  const auto source = open_minari(minari_fixture("babyai/gotolocal-rgb/bot-v0"));
  std::vector<std::string> expected;
  for (int64_t i = 0; i < source->size(); ++i) expected.push_back(digest(source->raw(i)));
  std::vector<std::thread> threads;
  std::vector<std::string> found(24);
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (size_t i = t; i < found.size(); i += 4) found[i] = digest(source->raw(static_cast<int64_t>(i % expected.size())));
    });
  for (auto& thread : threads) thread.join();
  for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], expected[i % expected.size()]);
}

// Pictures take far more of the file's heap than of their dataset, and small ones lie in gaps that large ones left.
TEST(Minari, JpegsMayBeLarge) {
  const testing::EditedSet set("babyai/gotolocal-rgb/bot-v0");
  const std::string name = "episode_1/observations/image";
  const auto expected = open_minari(set.path())->get(1);
  auto rows = set.rows(name);
  const std::string comment = std::string("\xFF\xFE\xFF\xFF", 4) + std::string(65533, 'c');
  for (size_t row = 0; row < rows.size(); ++row)
    for (size_t i = 0; i < 20 * (row % 3); ++i) rows[row].insert(2, comment);
  set.replace_by_rows(name, rows);
  const auto source = open_minari(set.path());
  for (int time = 0; time < 3; ++time)
    for (size_t f = 0; f < expected.fields.size(); ++f)
      if (expected.fields[f].values.defined()) {
        EXPECT_TRUE(at::equal(source->get(1).fields[f].values, expected.fields[f].values));
      }
}

// In this file no address counts from the first byte: everything is read by the library.
TEST(Minari, AFileMayBeginWithSomethingElse) {
  const std::string id = "babyai/gotolocal-rgb/bot-v0";
  const testing::EditedSet set(id);
  const auto before = open_minari(minari_fixture(id));
  testing::write_text(set.file(), std::string(512, ' ') + read_file(set.file()));
  const auto source = open_minari(set.path());
  for (int time = 0; time < 2; ++time)
    for (int64_t i = 0; i < source->size(); ++i) EXPECT_EQ(digest(source->raw(i)), digest(before->raw(i)));
}

}  // namespace
}  // namespace mugato::data
