// Questions about images with the answers of several people: VQAv2, OK-VQA, A-OKVQA.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../text_pool.h"

namespace mugato::data {

// Parallel vectors over the questions, in the order of their file; texts by their numbers in `texts`.
struct VqaQuestions {
  TextPool ids, questions;
  std::vector<int64_t> image_ids;
  std::vector<uint32_t> answer;        // to train on: the one most often given
  std::vector<uint32_t> num_answers;   // of every question, one after the other in `answers`
  std::vector<uint64_t> first_answer;  // where they begin
  std::vector<uint32_t> answers;
  std::vector<uint32_t> details;  // what else is said of a question: a JSON object
  TextNumbers texts;
  std::string image_set;                            // "val2014", "train2017"; empty: not said
  nlohmann::json about = nlohmann::json::object();  // what the files say beside questions and annotations

  size_t size() const { return image_ids.size(); }
};

// VQAv2 and OK-VQA: {"questions": [{question_id, image_id, question}]} and {"annotations": [{question_id, image_id, answers:
// [{answer}], multiple_choice_answer}]}, joined by question_id. A-OKVQA: one list of {question_id, image_id, question,
// direct_answers}, without annotations. Memory: what is returned. Throws Error with file and id for a question or annotation
// that is there twice or has no partner, one whose images differ, and questions without answers, as those of test splits are.
VqaQuestions read_vqa(const std::filesystem::path& questions, const std::filesystem::path& annotations);

}  // namespace mugato::data
