#if MUGATO_ARROW

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "data/read_json.h"
#include "message_of.h"
#include "mugato/data/sources.h"
#include "temporary_folder.h"

namespace mugato::data {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

const std::string kFixtures = MUGATO_FIXTURES;

std::unique_ptr<Source> jat(const std::string& path, std::map<std::string, FieldChange> changes = {}) {
  SourceRegistry registry("data source");
  register_builtins(registry, env::EnvironmentRegistry("environment"));
  DataEntry entry{.source = "jat", .fields = std::move(changes)};
  entry.reading.path = path;
  entry.reading.held_out = 0.0;
  return build_source(registry, entry, Split::kTrain);
}

std::unique_ptr<Source> task(const std::string& name) { return jat(kFixtures + "/jat/" + name + ".parquet"); }
std::string message_for(const std::string& file) {
  return message_of([&] {
    const auto source = jat(kFixtures + "/parquet/" + file + ".parquet");
    for (int64_t i = 0; i < source->size(); ++i) source->get(i);
  });
}

class JatTask : public ::testing::TestWithParam<const char*> {};

TEST_P(JatTask, ReadsWhatPyarrowAndPillowRead) {
  const auto expected = testing::read_json(kFixtures + "/jat/expected.json").at(GetParam());
  const auto source = task(GetParam());
  ASSERT_EQ(source->size(), static_cast<int64_t>(expected.size()));
  for (int64_t i = 0; i < source->size(); ++i) {
    auto digest = nlohmann::json::parse(data::digest(source->raw(i)));
    if (digest.contains("rewards")) digest["fields"]["rewards"] = digest["rewards"];
    EXPECT_TRUE(testing::holds(digest.at("fields"), expected.at(static_cast<size_t>(i))))
        << digest << "\n"
        << expected.at(static_cast<size_t>(i));
  }
}

INSTANTIATE_TEST_SUITE_P(All, JatTask,
                         ::testing::Values("atari-breakout", "babyai-go-to", "mujoco-hopper", "conceptual-captions", "ok-vqa",
                                           "wikipedia"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Jat, ReadsStackedFramesAsThePictureOfTheNewestThree) {
  const auto source = task("atari-breakout");
  const auto& image = source->schema().field("image_observations");
  EXPECT_EQ(image.modality, Modality::kImage);
  EXPECT_EQ(image.shape, (std::vector<int64_t>{12, 10, 3}));
  const auto raw = source->raw(1).leaves[0].values;
  EXPECT_EQ(raw.size(3), 4);
  const auto episode = source->get(1);
  EXPECT_EQ(episode.num_steps, 5);
  EXPECT_TRUE(episode.fields[0].values.equal(raw.narrow(3, 1, 3)));
}

TEST(Jat, CountsDiscreteValuesInTheData) {
  const auto source = task("babyai-go-to");
  const auto& actions = source->schema().field("discrete_actions");
  EXPECT_EQ(actions.role, Role::kAction);
  int64_t highest = 0;
  for (int64_t i = 0; i < source->size(); ++i)
    highest = std::max(
        highest,
        source->get(i).fields[static_cast<size_t>(source->schema().index_of("discrete_actions"))].values.max().item<int64_t>());
  EXPECT_EQ(actions.num_values, std::vector<int64_t>{highest + 1});
  EXPECT_EQ(source->schema().field("discrete_observations").shape, std::vector<int64_t>{148});
  EXPECT_EQ(source->get(2).fields[0].text, std::vector<std::string>(6, "öffne die Tür"));
  EXPECT_EQ(source->get(2).total_return, 0.875);
}

TEST(Jat, TakesTheRangeOfActionsFromTheData) {
  const auto source = task("mujoco-hopper");
  const auto& actions = source->schema().field("continuous_actions");
  double low = 1e9, high = -1e9;
  for (int64_t i = 0; i < source->size(); ++i) {
    const auto values = source->get(i).fields[1].values;
    low = std::min(low, values.min().item<double>());
    high = std::max(high, values.max().item<double>());
  }
  EXPECT_EQ(actions.low, (std::vector<double>{low}));
  EXPECT_EQ(actions.high, (std::vector<double>{high}));
  EXPECT_FALSE(actions.mu_law);
  EXPECT_TRUE(source->schema().field("continuous_observations").mu_law);
  const auto changed = jat(kFixtures + "/jat/mujoco-hopper.parquet", {{"continuous_actions", {.range = {-4, 4}}}});
  EXPECT_EQ(changed->schema().field("continuous_actions").high, (std::vector<double>{4}));
}

TEST(Jat, ReadsCaptionsAsAnswersAndTextAsDocuments) {
  const auto captions = task("conceptual-captions");
  EXPECT_EQ(captions->schema().field("text").role, Role::kAnswer);
  EXPECT_TRUE(captions->schema().field("images").shape.empty());
  EXPECT_EQ(captions->get(2).fields[0].values.sizes(), (std::vector<int64_t>{1, 16, 16, 3}));  // grey in the file
  EXPECT_TRUE(task("wikipedia")->schema().is_text_document());
}

TEST(Jat, DividesQuestionsFromAnswers) {
  const auto source = task("ok-vqa");
  const auto episode = source->get(1);
  EXPECT_EQ(episode.fields[1].text[0], "Which A: or B?");
  EXPECT_EQ(episode.fields[2].text[0], "b");
  EXPECT_EQ(source->schema().field("question").role, Role::kObservation);
  EXPECT_EQ(source->schema().field("answer").role, Role::kAnswer);
}

TEST(Jat, RefusesFilesToTrainAndToTestOnTogether) {
  const testing::TemporaryFolder folder;
  for (const char* name : {"train-00000-of-00001.parquet", "test-00000-of-00001.parquet"})
    std::filesystem::copy(kFixtures + "/jat/wikipedia.parquet", folder / name);
  EXPECT_THAT(message_of([&] { jat(folder.path()); }), HasSubstr("files to train on and files to test on"));
  EXPECT_THAT(message_of([&] { jat(folder.path() / "*.parquet"); }), HasSubstr("files to train on and files to test on"));
  EXPECT_EQ(jat(folder.path() / "train-*")->size(), 5);
}

TEST(Jat, RefusesTasksTogether) {
  EXPECT_THAT(message_of([] { jat(kFixtures + "/jat/*o*.parquet"); }), HasSubstr("has no column"));
}

TEST(Jat, NamesWhatIsBroken) {
  EXPECT_THAT(message_for("lengths"), HasSubstr("lengths.parquet row 1: the column 'rewards' has 1 timesteps, "));
  EXPECT_THAT(message_for("ragged"), HasSubstr("column 'continuous_observations', row 1: lists of"));
  EXPECT_THAT(message_for("shapes"),
              HasSubstr("shapes.parquet row 1: the column 'continuous_observations' has values of another shape"));
  EXPECT_THAT(message_for("nulls"), HasSubstr("column 'discrete_actions', row 1: a value is missing"));
  EXPECT_THAT(message_for("floats"), HasSubstr("the column 'discrete_actions' is list<element: double>"));
  EXPECT_THAT(message_for("texts"), HasSubstr("the column 'continuous_observations' is list<element: string>"));
  EXPECT_THAT(message_for("negative"), HasSubstr("the column 'discrete_actions' has values from -3 to 2"));
  EXPECT_THAT(message_for("infinite"), HasSubstr("the column 'continuous_actions' has values that are not finite"));
  EXPECT_THAT(message_for("no_steps"), HasSubstr("row 0: the episode has no timestep"));
  EXPECT_THAT(message_for("no_picture"), HasSubstr("timestep 0: the image is neither PNG nor JPEG"));
  EXPECT_THAT(message_for("only_path"), HasSubstr("the images are not embedded"));
  EXPECT_THAT(message_for("columns"), HasSubstr("columns.parquet has none of the columns"));
}

}  // namespace
}  // namespace mugato::data

#endif  // MUGATO_ARROW
