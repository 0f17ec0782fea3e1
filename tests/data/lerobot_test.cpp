#if MUGATO_ARROW && MUGATO_AV

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "data/read_json.h"
#include "message_of.h"
#include "mugato/data/sources.h"
#include "nested.h"
#include "src/data/sources/lerobot_info.h"
#include "temporary_folder.h"

namespace mugato::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::nested;

const std::string kFolder = std::string(MUGATO_FIXTURES) + "/lerobot";
constexpr const char* kTop = "observation.images.top";

DataEntry entry_of(const std::string& path, std::vector<std::string> cameras = {}) {
  DataEntry entry{.source = "lerobot"};
  entry.reading = {.path = path, .held_out = 0.0, .cameras = std::move(cameras)};
  return entry;
}

std::unique_ptr<Source> build(const DataEntry& entry) {
  SourceRegistry registry("data source");
  register_builtins(registry, env::EnvironmentRegistry("environment"));
  return build_source(registry, entry, Split::kTrain);
}

const FieldValues& field(const Source& source, const Episode& episode, const std::string& name) {
  return episode.fields[static_cast<size_t>(source.schema().index_of(name))];
}

// Mean colours of the middles of 4 x 4 tiles, as the fixtures' script has them: what every decoder of a lossy video agrees on.
at::Tensor tiles_of(const at::Tensor& frames) {
  const int64_t count = frames.size(0);
  return frames.view({count, 4, 16, 4, 16, 3})
      .narrow(2, 4, 8)
      .narrow(4, 4, 8)
      .to(at::kDouble)
      .mean({2, 4})
      .reshape({count, -1});
}

at::Tensor tensor_of(const nlohmann::json& rows) {
  std::vector<at::Tensor> all;
  for (const auto& row : rows) all.push_back(at::tensor(row.get<std::vector<double>>(), at::kDouble));
  return at::stack(all);
}

class LeRobot : public ::testing::TestWithParam<const char*> {
 protected:
  std::string path() const { return kFolder + "/" + GetParam(); }
  nlohmann::json expected() const { return testing::read_json(kFolder + "/expected_" + GetParam() + ".json"); }
};
INSTANTIATE_TEST_SUITE_P(Layouts, LeRobot, ::testing::Values("v2.1", "v3.0"),
                         [](const auto& instance) { return std::string(instance.param[1] == '2' ? "TwoOne" : "Three"); });

TEST_P(LeRobot, ReadsWhatItsPackageWrote) {
  const auto source = build(entry_of(path()));
  const auto all = expected();
  ASSERT_EQ(source->size(), static_cast<int64_t>(all.size()));
  for (const int64_t i : {2, 0, 3, 1}) {
    const auto& wanted = all.at(static_cast<size_t>(i));
    const auto raw = source->raw(i);
    const auto digest = nlohmann::json::parse(data::digest(raw));
    EXPECT_EQ(digest.at("id"), std::string(GetParam()) + " episode " + std::to_string(i));
    EXPECT_EQ(digest.at("total_steps"), wanted.at("num_steps"));
    EXPECT_TRUE(testing::holds(digest.at("fields"), wanted.at("fields"))) << digest << "\n" << wanted;
    for (const auto& leaf : raw.leaves)
      if (leaf.name == kTop) {
        EXPECT_LE((tiles_of(leaf.values) - tensor_of(wanted.at("top"))).abs().max().item<double>(), 3.0) << i;
      }
    const auto episode = source->get(i);
    EXPECT_EQ(field(*source, episode, "task").text,
              std::vector<std::string>(static_cast<size_t>(episode.num_steps), wanted.at("task").get<std::string>()));
    EXPECT_EQ(episode.total_return, wanted.at("return").get<double>());
    EXPECT_EQ(episode.success, episode.num_steps > 6);
    EXPECT_EQ(field(*source, episode, kTop).values.sizes(), (std::vector<int64_t>{episode.num_steps, 64, 64, 3}));
  }
}

// The frames carry their numbers in black and white tiles.
TEST_P(LeRobot, ShowsEveryTimestepItsOwnFrame) {
  const auto source = build(entry_of(path(), {"top"}));
  int64_t number = 0;
  for (int64_t i = 0; i < source->size(); ++i) {
    const auto bits =
        tiles_of(field(*source, source->get(i), kTop).values).narrow(1, 0, 24).gt(128).to(at::kLong).view({-1, 8, 3});
    for (int64_t e = 0; e < bits.size(0); ++e, ++number)
      EXPECT_EQ(bits[e].select(1, 0).mul(at::pow(2, at::arange(8, at::kLong))).sum().item<int64_t>(), number);
  }
  EXPECT_EQ(number, 33);
}

TEST_P(LeRobot, MakesFieldsOfItsFeatures) {
  const auto source = build(entry_of(path()));
  std::vector<std::string> names;
  for (const auto& spec : source->schema().fields) names.push_back(spec.name);
  EXPECT_THAT(names, ElementsAre("action", "observation.gripper", kTop, "observation.images.wrist", "observation.state",
                                 "observation.touch", "task"));
  const auto& action = source->schema().field("action");
  EXPECT_EQ(action.role, Role::kAction);
  EXPECT_FALSE(action.mu_law);
  double low = 1e9, high = -1e9;
  for (int64_t i = 0; i < source->size(); ++i) {
    const auto values = field(*source, source->get(i), "action").values;
    low = std::min(low, values.min().item<double>());
    high = std::max(high, values.max().item<double>());
  }
  EXPECT_NEAR(action.low.at(0), low, 1e-6);
  EXPECT_NEAR(action.high.at(0), high, 1e-6);
  EXPECT_TRUE(source->schema().field("observation.state").mu_law);
  EXPECT_EQ(source->schema().field("observation.touch").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(source->schema().field("observation.gripper").num_values, std::vector<int64_t>{5});
  EXPECT_EQ(source->schema().field("observation.images.wrist").shape, (std::vector<int64_t>{64, 64, 3}));
}

TEST_P(LeRobot, ReadsTheCamerasThatAreAskedFor) {
  EXPECT_THAT(message_of([&] { build(entry_of(path(), {"tpo"})); }), HasSubstr("has no camera 'tpo'\nhint: did you mean "));
  const auto source = build(entry_of(path(), {"wrist"}));
  for (const auto& spec : source->schema().fields) EXPECT_NE(spec.name, kTop);
}

TEST(LeRobotFiles, AreReadTableByTable) {
  EXPECT_THAT(build(entry_of(kFolder + "/v2.1"))->reading_order().runs, ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(build(entry_of(kFolder + "/v3.0"))->reading_order().runs, ElementsAre(4));
}

// A copy of a data set that is broken in one place.
class LeRobotBroken : public ::testing::Test {
 protected:
  void copy(const std::string& version) {
    std::filesystem::remove_all(root());
    std::filesystem::copy(kFolder + "/" + version, root(), std::filesystem::copy_options::recursive);
  }
  std::filesystem::path root() const { return folder_ / "set"; }
  std::string message() const {
    return message_of([&] {
      const auto source = build(entry_of(root()));
      for (int64_t i = 0; i < source->size(); ++i) source->get(i);
    });
  }
  void replace(const std::string& file, const std::string& from, const std::string& to) {
    auto text = read_file(root() / file);
    ASSERT_NE(text.find(from), std::string::npos) << from;
    text.replace(text.find(from), from.size(), to);
    write(file, text);
  }
  void write(const std::string& file, const std::string& text) {
    std::ofstream(root() / file, std::ios::binary | std::ios::trunc) << text;
  }
  void cut(const std::string& file, double share) {
    const auto text = read_file(root() / file);
    write(file, text.substr(0, static_cast<size_t>(share * static_cast<double>(text.size()))));
  }

  testing::TemporaryFolder folder_;
  const std::string video_ = "videos/chunk-000/observation.images.top/episode_000000.mp4";
};

TEST_F(LeRobotBroken, NamesWhatInfoSaysWrong) {
  EXPECT_THAT(message_of([&] { build(entry_of(folder_.path())); }),
              HasSubstr("there is no " + (folder_ / "meta/info.json").string()));
  const auto changed = [&](const std::string& from, const std::string& to) {
    copy("v3.0");
    replace("meta/info.json", from, to);
    return message();
  };
  EXPECT_THAT(changed("\"v3.0\"", "\"v1.6\""), HasSubstr("info.json: the data set has the layout v1.6"));
  EXPECT_THAT(changed("{", ""), HasSubstr("info.json is no JSON"));
  EXPECT_THAT(changed("\"fps\": 10", "\"fps\": " + nested(100'000)), HasSubstr("info.json is JSON that is nested too deeply"));
  EXPECT_THAT(changed("\"fps\": 10", "\"fps\": 0"), HasSubstr("fps is 0"));
  EXPECT_THAT(changed("\"fps\"", "\"spf\""), HasSubstr("has no key 'fps'"));
  EXPECT_THAT(changed("\"total_episodes\": 4", "\"total_episodes\": 5"),
              HasSubstr("says that there are 5 episodes, meta/ describes 4"));
  EXPECT_THAT(changed("\"action\"", "\"actino\""), HasSubstr("has no column 'actino'\nhint: did you mean 'action'"));
  EXPECT_THAT(changed("\"dtype\": \"float32\"", "\"dtype\": \"string\""), HasSubstr("info.json says string"));
  EXPECT_THAT(changed("\"dtype\": \"float32\"", "\"dtype\": 3"), HasSubstr("the key 'dtype' is number"));
  copy("v3.0");
  auto info = testing::read_json(root() / "meta/info.json");
  info["features"]["action"]["shape"] = {-2};
  write("meta/info.json", info.dump());
  EXPECT_THAT(message(), HasSubstr("feature 'action': its shape is [-2]"));
  info["features"]["action"]["shape"] = {3};
  write("meta/info.json", info.dump());
  EXPECT_THAT(message(), HasSubstr("feature 'action' has another shape than info.json says"));
  info["features"]["action"]["shape"] = {2};
  info["features"][kTop]["shape"] = {64, 32, 3};
  write("meta/info.json", info.dump());
  EXPECT_THAT(message(), HasSubstr("has frames of 64 x 64 pixels, not 64 x 32"));
  info["features"][kTop]["shape"] = {15'000, 15'000, 3};
  write("meta/info.json", info.dump());
  EXPECT_THAT(message(), HasSubstr("would take more than 4 GiB"));
}

TEST_F(LeRobotBroken, NeverLeavesItsFolder) {
  for (const std::string hostile :
       {"../{video_key}.mp4", "/etc/{video_key}", "videos/../../{video_key}", "a\\\\..\\\\{video_key}"}) {
    copy("v3.0");
    auto info = testing::read_json(root() / "meta/info.json");
    info["video_path"] = hostile;
    write("meta/info.json", info.dump());
    EXPECT_THAT(message(), HasSubstr("leads out of the folder")) << hostile;
  }
  copy("v3.0");
  replace("meta/info.json", "data/chunk-{chunk_index:03d}", "data/{0.__class__}");
  EXPECT_THAT(message(), HasSubstr("has an unknown field {0.__class__}"));
}

TEST_F(LeRobotBroken, NamesATableThatIsMissingCutOrAnothers) {
  const std::string table = "data/chunk-000/episode_000001.parquet";
  copy("v2.1");
  std::filesystem::remove(root() / table);
  EXPECT_THAT(message(), HasSubstr(table));
  copy("v2.1");
  cut(table, 0.7);
  EXPECT_THAT(message(), HasSubstr(table));
  copy("v2.1");
  std::filesystem::copy(root() / "data/chunk-000/episode_000002.parquet", root() / table,
                        std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(message(), HasSubstr("episode 1 is said to have rows 0 to 7, it begins at row 0 of 12"));
  replace("meta/episodes.jsonl", "\"length\": 7", "\"length\": 12");
  EXPECT_THAT(message(), HasSubstr("the rows of episode 1 are of other episodes"));
  copy("v2.1");
  replace("meta/tasks.jsonl", "\"task_index\": 1", "\"task_index\": 7");
  EXPECT_THAT(message(), HasSubstr("meta/ has no task 1"));
  copy("v2.1");
  replace("meta/episodes.jsonl", "\"episode_index\": 1", "\"episode_index\": 2");
  EXPECT_THAT(message(), HasSubstr("describes episode 2 twice"));
  copy("v2.1");
  replace("meta/episodes.jsonl", "\"length\": 7", "\"length\": 1e300");
  EXPECT_THAT(message(), HasSubstr("episodes.jsonl line 2: the key 'length' is 1e+300"));
}

TEST_F(LeRobotBroken, NamesAVideoThatIsMissingCutOrAnothers) {
  copy("v2.1");
  std::filesystem::remove(root() / video_);
  EXPECT_THAT(message(), HasSubstr(video_));
  for (const double share : {0.0, 0.3, 0.6, 0.9}) {
    copy("v2.1");
    cut(video_, share);
    EXPECT_THAT(message(), HasSubstr(video_)) << share;
  }
  copy("v2.1");
  std::filesystem::copy(kFolder + "/other_rate.mp4", root() / video_, std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(message(),
              HasSubstr("has no frame within 0.000100 s of 0.100000 s, one at 0.000000 s and then one at 0.142857 s"));
  copy("v2.1");
  std::filesystem::copy(root() / "videos/chunk-000/observation.images.top/episode_000003.mp4", root() / video_,
                        std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(message(), HasSubstr("of 0.500000 s, one at 0.400000 s and then none"));
}

TEST_F(LeRobotBroken, OpensNoOtherFilesForAVideo) {
  copy("v2.1");
  const auto secret = (folder_ / "secret.ts").string();
  std::filesystem::copy(kFolder + "/other_rate.mp4", secret);
  for (const std::string& playlist : {"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" + secret + "\n#EXT-X-ENDLIST\n",
                                      "ffconcat version 1.0\nfile " + secret + "\n"}) {
    write(video_, playlist);
    EXPECT_THAT(message(), HasSubstr("cannot be opened as a video"));
  }
}

TEST_F(LeRobotBroken, AsksForARangeWhereThereAreNoStatistics) {
  copy("v3.0");
  std::filesystem::remove(root() / "meta/stats.json");
  EXPECT_THAT(message(), HasSubstr("has no statistics of the feature 'action'"));
  auto entry = entry_of(root());
  entry.fields["action"].range = {-3, 3};
  EXPECT_EQ(build(entry)->schema().field("action").low, (std::vector<double>{-3}));
}

}  // namespace
}  // namespace mugato::data

#endif  // MUGATO_ARROW && MUGATO_AV
