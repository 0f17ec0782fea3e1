#include "vqa_questions.h"

#include <algorithm>
#include <unordered_map>

#include "../json_records.h"
#include "mugato/core/error.h"

namespace mugato::data {
namespace {

using nlohmann::json;

constexpr uint32_t kNone = UINT32_MAX;

class Reader {
 public:
  VqaQuestions read(const std::filesystem::path& questions, const std::filesystem::path& annotations) {
    auto rest = read_json_records(questions, [this](JsonRecord record) { add(record); });
    if (set_.size() == 0)
      throw Error("'" + questions.string() + "' holds no questions",
                  "it is {\"questions\": [...]} of VQAv2 or OK-VQA, or the list of A-OKVQA");
    if (rest.is_object()) {
      rest.erase("questions");
      if (const auto set = rest.find("data_subtype"); set != rest.end() && set->is_string()) set_.image_set = *set;
      set_.about = std::move(rest);
      join(annotations, questions);
    } else {
      set_.about = {{"image_set", set_.image_set}};
      if (!annotations.empty())
        throw Error("'" + questions.string() + "' is of A-OKVQA, which has its answers with the questions",
                    "leave annotations out");
    }
    return std::move(set_);
  }

 private:
  void add(JsonRecord& record) {
    if (!record.list.empty() && record.list != "questions") return;
    const auto id = record.id("question_id");
    if (!numbers_.emplace(id, set_.size()).second) record.refuse("the question " + id + " is there twice");
    set_.ids.add(id);
    set_.questions.add(record.text("question"));
    set_.image_ids.push_back(record.integer("image_id"));
    if (set_.image_ids.back() < 0) record.refuse("the question " + id + " has an image of a negative id");
    for (auto* of_question : {&set_.answer, &set_.num_answers, &set_.details}) of_question->push_back(kNone);
    set_.first_answer.push_back(0);
    if (record.list.empty()) add_direct_answers(record, set_.size() - 1);
  }

  void add_direct_answers(JsonRecord& record, size_t question) {
    const std::string id(set_.ids[question]);
    if (!record.fields.contains("direct_answers"))
      throw Error(record.name() + ": the question " + id + " has no direct_answers",
                  "the test split of A-OKVQA has none: take train or val");
    std::vector<uint32_t> answers;
    for (const auto& answer : record.list_of("direct_answers")) {
      if (!answer.is_string()) record.refuse("the question " + id + " has an answer that is no text");
      answers.push_back(set_.texts.number(answer.get_ref<const std::string&>()));
    }
    set_answers(record, question, answers);
    set_.image_set = record.text("split") + "2017";
    for (const char* field : {"split", "question_id", "image_id", "question", "direct_answers"}) record.fields.erase(field);
    set_.details[question] = set_.texts.number(record.fields.dump());
  }

  void join(const std::filesystem::path& annotations, const std::filesystem::path& questions) {
    if (annotations.empty())
      throw Error("the questions of '" + questions.string() + "' have no answers", "annotations = \"FILE\" names theirs");
    auto rest = read_json_records(annotations, [&](JsonRecord record) {
      if (record.list == "annotations") add_annotation(record, questions);
    });
    for (size_t i = 0; i < set_.size(); ++i)
      if (set_.answer[i] == kNone)
        throw Error("'" + annotations.string() + "' has no annotation of the question " + std::string(set_.ids[i]) + " of '" +
                        questions.string() + "'",
                    "both files have to be of one split");
    if (rest.is_object()) rest.erase("annotations");
    set_.about = {{"questions", std::move(set_.about)}, {"annotations", std::move(rest)}};
  }

  void add_annotation(JsonRecord& record, const std::filesystem::path& questions) {
    const auto id = record.id("question_id");
    const auto found = numbers_.find(id);
    if (found == numbers_.end())
      throw Error(record.name() + ": the question " + id + " is not in '" + questions.string() + "'",
                  "both files have to be of one split");
    const size_t question = found->second;
    if (set_.answer[question] != kNone) record.refuse("the question " + id + " has two annotations");
    if (record.integer("image_id") != set_.image_ids[question])
      record.refuse("the question " + id + " is about the image " + std::to_string(set_.image_ids[question]) +
                    ", its annotation about " + std::to_string(record.integer("image_id")));
    std::vector<uint32_t> answers;
    for (const auto& answer : record.list_of("answers")) {
      const auto text = answer.find("answer");
      if (text == answer.end() || !text->is_string()) record.refuse("the question " + id + " has an answer that is no text");
      answers.push_back(set_.texts.number(text->get_ref<const std::string&>()));
    }
    set_answers(record, question, answers);
    if (record.fields.contains("multiple_choice_answer"))
      set_.answer[question] = set_.texts.number(record.text("multiple_choice_answer"));
    json details = json::object();
    for (const char* field : {"question_type", "answer_type"})
      if (record.fields.contains(field)) details[field] = record.text(field);
    set_.details[question] = set_.texts.number(details.dump());
  }

  void set_answers(const JsonRecord& record, size_t question, const std::vector<uint32_t>& answers) {
    if (answers.empty()) record.refuse("the question " + std::string(set_.ids[question]) + " has no answers");
    const auto count = [&](uint32_t answer) { return std::count(answers.begin(), answers.end(), answer); };
    set_.answer[question] = *std::max_element(
        answers.begin(), answers.end(), [&](uint32_t a, uint32_t b) { return count(a) < count(b); });  // the first of equals
    set_.num_answers[question] = static_cast<uint32_t>(answers.size());
    set_.first_answer[question] = set_.answers.size();
    set_.answers.insert(set_.answers.end(), answers.begin(), answers.end());
  }

  VqaQuestions set_;
  std::unordered_map<std::string, size_t> numbers_;  // by id
};

}  // namespace

VqaQuestions read_vqa(const std::filesystem::path& questions, const std::filesystem::path& annotations) {
  return Reader().read(questions, annotations);
}

}  // namespace mugato::data
