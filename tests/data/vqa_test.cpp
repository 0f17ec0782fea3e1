#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "image_text.h"
#include "message_of.h"
#include "temporary_folder.h"

namespace mugato::data {
namespace {

using mugato::testing::message_of;
using mugato::testing::TemporaryFolder;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::filesystem::path kVqa = kFixtures / "vqa";
const std::filesystem::path kQuestions = kVqa / "v2_OpenEnded_mscoco_val2014_questions.json";
const std::filesystem::path kAnnotations = kVqa / "v2_mscoco_val2014_annotations.json";
const std::filesystem::path kAokvqa = kVqa / "aokvqa_v1p0_val.json";

std::unique_ptr<Source> vqa(const std::filesystem::path& questions, const std::filesystem::path& annotations,
                            const std::filesystem::path& images) {
  return source_of("vqa", {.images = images, .questions = questions, .annotations = annotations});
}

uint32_t crc_of_file(const std::string& coco_name) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(kVqa / "val2014" / coco_name, folder / coco_name);
  write_file_atomically(folder / "metadata.csv", "file_name,text\n" + coco_name + ",x\n");
  return crc_of(source_of("images", {.path = folder.path()})->get(0).fields[0].values);
}

// The images of the fixture under the names of 2017.
void copy_as_2017(const std::filesystem::path& folder) {
  make_folders(folder);
  for (const auto& file : std::filesystem::directory_iterator(kVqa / "val2014"))
    std::filesystem::copy_file(file.path(), folder / file.path().filename().string().substr(13));
}

TEST(Vqa, QuestionsAreJoinedWithTheirAnswersInTheirOrder) {
  const auto source = vqa(kQuestions, kAnnotations, kVqa / "val2014");
  const auto questions = json_of(kQuestions)["questions"];
  const auto joined = json_of(kVqa / "expected.json")["joined"];
  ASSERT_EQ(source->size(), static_cast<int64_t>(questions.size()));
  for (int64_t i = 0; i < source->size(); ++i) {
    const auto& question = questions[static_cast<size_t>(i)];
    const auto id = std::to_string(question["question_id"].get<int64_t>());
    const auto raw = source->raw(i);
    EXPECT_EQ(id_of(raw), id);
    EXPECT_EQ(leaf_of(raw, "question").text, std::vector<std::string>{joined[id]["question"]});
    EXPECT_EQ(leaf_of(raw, "answers").text, joined[id]["answers"].get<std::vector<std::string>>());
    const auto attributes = json::parse(raw.attributes);
    EXPECT_EQ(attributes["image_id"], question["image_id"]);
    EXPECT_EQ(crc_of(leaf_of(raw, "image").values), crc_of_file(attributes["image"])) << id;
  }
}

// N1 of peers.md: elsewhere every sample was the last one.
TEST(Vqa, SamplesAreNotTheLastOneAgainAndAgain) {
  const auto source = vqa(kQuestions, kAnnotations, kVqa / "val2014");
  std::set<std::string> questions, answers;
  std::set<uint32_t> images;
  for (int64_t i = 0; i < source->size(); ++i) {
    const auto episode = source->get(i);
    images.insert(crc_of(episode.fields[0].values));
    questions.insert(episode.fields[1].text[0]);
    answers.insert(episode.fields[2].text[0]);
  }
  EXPECT_EQ(images.size(), 6U);
  EXPECT_GT(questions.size(), 6U);
  EXPECT_GT(answers.size(), 4U);
}

TEST(Vqa, TheAnswerToTrainOnIsTheOneOfMostPeople) {
  const auto source = vqa(kQuestions, kAnnotations, kVqa / "val2014");
  std::map<std::string, json> annotations;
  const auto file = json_of(kAnnotations);
  for (const auto& annotation : file["annotations"])
    annotations[std::to_string(annotation["question_id"].get<int64_t>())] = annotation;
  for (int64_t i = 0; i < source->size(); ++i) {
    const auto& annotation = annotations.at(id_of(source->raw(i)));
    EXPECT_EQ(source->get(i).fields[2].text[0], annotation["multiple_choice_answer"]);
    const auto attributes = json::parse(source->raw(i).attributes);
    for (const char* field : {"question_type", "answer_type"}) EXPECT_EQ(attributes[field], annotation[field]);
  }
  EXPECT_TRUE(source->schema().fields[2].role == Role::kAnswer && source->schema().fields[1].role == Role::kObservation);
  EXPECT_EQ(json::parse(source->about())["annotations"]["data_subtype"], "val2014");
  EXPECT_EQ(json::parse(source->about())["questions"]["info"]["year"], 2024);
}

TEST(Vqa, ImagesAreFoundUnderTheNamesOfBothYears) {
  const auto expected = crc_of(vqa(kQuestions, kAnnotations, kVqa)->get(4).fields[0].values);
  const TemporaryFolder folder;
  copy_as_2017(folder.path());
  EXPECT_EQ(crc_of(vqa(kQuestions, kAnnotations, folder.path())->get(4).fields[0].values), expected);
  const TemporaryFolder above;
  copy_as_2017(above / "val2014");
  EXPECT_EQ(crc_of(vqa(kQuestions, kAnnotations, above.path())->get(4).fields[0].values), expected);
}

TEST(Vqa, AokvqaHasItsAnswersWithTheQuestions) {
  const TemporaryFolder folder;
  copy_as_2017(folder / "val2017");
  const auto truth = json_of(kAokvqa);
  const auto source = vqa(kAokvqa, "", folder.path());
  const auto old = vqa(kQuestions, kAnnotations, kVqa / "val2014");
  ASSERT_EQ(source->size(), static_cast<int64_t>(truth.size()));
  for (int64_t i = 0; i < source->size(); ++i) {
    const auto& expected = truth[static_cast<size_t>(i)];
    const auto raw = source->raw(i);
    const auto answers = expected["direct_answers"].get<std::vector<std::string>>();
    EXPECT_EQ(id_of(raw), expected["question_id"]);
    EXPECT_EQ(leaf_of(raw, "question").text[0], expected["question"]);
    EXPECT_EQ(leaf_of(raw, "answers").text, answers);
    const auto trained = std::count(answers.begin(), answers.end(), leaf_of(raw, "answer").text[0]);
    for (const auto& answer : answers) EXPECT_GE(trained, std::count(answers.begin(), answers.end(), answer));
    const auto attributes = json::parse(raw.attributes);
    for (const char* field : {"choices", "correct_choice_idx", "difficult_direct_answer", "rationales", "image_id"})
      EXPECT_EQ(attributes[field], expected[field]);
    EXPECT_EQ(crc_of(leaf_of(raw, "image").values), crc_of(old->get(i).fields[0].values));
  }
  EXPECT_THAT(message_of([&] { vqa(kAokvqa, kAnnotations, folder.path()); }), HasSubstr("leave annotations out"));
  auto test = truth;
  test[2].erase("direct_answers");
  write_file_atomically(folder / "test.json", test.dump());
  EXPECT_THAT(
      message_of([&] { vqa(folder / "test.json", "", folder.path()); }),
      AllOf(HasSubstr("test.json', [2]: the question"), HasSubstr("has no direct_answers"), HasSubstr("the test split")));
}

// What is said of the fixture after a change of its questions or annotations.
std::string refusal_after(const std::function<void(json& questions, json& annotations)>& change) {
  const TemporaryFolder folder;
  auto questions = json_of(kQuestions), annotations = json_of(kAnnotations);
  change(questions["questions"], annotations["annotations"]);
  write_file_atomically(folder / "q.json", questions.dump());
  write_file_atomically(folder / "a.json", annotations.dump());
  return message_of([&] { vqa(folder / "q.json", folder / "a.json", kVqa / "val2014"); });
}

TEST(Vqa, AWrongJoinIsNamedByTheQuestion) {
  EXPECT_THAT(refusal_after([](json& q, json&) { q.erase(3); }), HasSubstr("the question 355169000 is not in '"));
  EXPECT_THAT(refusal_after([](json&, json& a) {
                std::erase_if(a.get_ref<json::array_t&>(), [](const json& one) { return one["question_id"] == 355169001; });
              }),
              HasSubstr("a.json' has no annotation of the question 355169001"));
  EXPECT_THAT(refusal_after([](json& q, json&) { q.push_back(q[3]); }),
              HasSubstr("q.json', questions[18]: the question 355169000 is there twice"));
  EXPECT_THAT(refusal_after([](json&, json& a) { a.push_back(a[5]); }), HasSubstr("has two annotations"));
  EXPECT_THAT(refusal_after([](json& q, json&) { q[3]["image_id"] = 152746; }),
              HasSubstr("the question 355169000 is about the image 152746, its annotation about 355169"));
}

TEST(Vqa, WhatIsMissingOrOfAnotherKindIsNamed) {
  EXPECT_THAT(refusal_after([](json& q, json&) { q[1].erase("question"); }),
              HasSubstr("questions[1]: there is no text 'question'"));
  EXPECT_THAT(refusal_after([](json& q, json&) { q[1]["image_id"] = "x"; }), HasSubstr("there is no whole number 'image_id'"));
  EXPECT_THAT(refusal_after([](json& q, json&) { q[1]["image_id"] = -1; }), HasSubstr("an image of a negative id"));
  EXPECT_THAT(refusal_after([](json&, json& a) { a[1]["answers"] = json::array(); }), HasSubstr("has no answers"));
  EXPECT_THAT(refusal_after([](json&, json& a) { a[1]["answers"][0] = 3; }), HasSubstr("has an answer that is no text"));
  EXPECT_THAT(refusal_after([](json& q, json&) { q = json::array(); }), HasSubstr("holds no questions"));
  EXPECT_THAT(message_of([] { vqa(kQuestions, "", kVqa); }), HasSubstr("annotations = \"FILE\""));
  EXPECT_THAT(message_of([] { vqa(kQuestions, kAnnotations, ""); }), HasSubstr("has no images"));
  EXPECT_THAT(message_of([] { vqa(kQuestions, kAnnotations, kFixtures); }),
              AllOf(HasSubstr("the image 152746 of the first question is not in"), HasSubstr("COCO_val2014_000000152746.jpg")));
  const TemporaryFolder folder;
  copy_as_2017(folder.path());
  std::filesystem::remove(folder / "000000091055.jpg");
  EXPECT_THAT(message_of([&] { vqa(kQuestions, kAnnotations, folder.path()); }),
              HasSubstr("of 6 images in '" + folder.path().string() + "', 1 is missing: '000000091055.jpg'"));
}

}  // namespace
}  // namespace mugato::data
