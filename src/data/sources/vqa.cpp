#include <cstdio>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "../image_folder.h"
#include "formats.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/core/text.h"
#include "vqa_questions.h"

namespace mugato::data {
namespace {

using nlohmann::json;

// Where COCO's images lie in a folder: {prefix}{id of 12 digits}.jpg.
std::string image_file(const std::string& prefix, int64_t id) {
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%012lld", static_cast<long long>(id));
  return prefix + digits + ".jpg";
}

class Vqa : public Source {
 public:
  explicit Vqa(const DataEntry& entry) : folder_(entry.reading.images) {
    schema_.fields = {
        {.name = "image", .modality = Modality::kImage}, {.name = "question"}, {.name = "answer", .role = Role::kAnswer}};
    if (entry.reading.questions.empty() || entry.reading.images.empty())
      throw Error("the data source 'vqa' has no " + std::string(entry.reading.questions.empty() ? "questions" : "images"),
                  "questions = \"FILE\", annotations = \"FILE\" (not for A-OKVQA), images = \"FOLDER\"");
    set_ = read_vqa(entry.reading.questions, entry.reading.annotations);
    prefix_ = find_prefix();
    TextNumbers files;
    for (const int64_t id : set_.image_ids) files.number(image_file(prefix_, id));
    check_images(folder_, files);
  }

  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return static_cast<int64_t>(set_.size()); }

  Episode get(int64_t index) const override {
    const size_t i = checked(index);
    Episode episode{.num_steps = 1, .id = "question " + std::string(set_.ids[i])};
    episode.fields = {{read_image(folder_ / image_file(prefix_, set_.image_ids[i])), {}},
                      {{}, {std::string(set_.questions[i])}},
                      {{}, {set_.texts[set_.answer[i]]}}};
    return episode;
  }

  std::vector<uint32_t> groups() const override {
    std::unordered_map<int64_t, uint32_t> numbers;
    std::vector<uint32_t> groups;
    for (const int64_t id : set_.image_ids) groups.push_back(numbers.try_emplace(id, numbers.size()).first->second);
    return groups;
  }

  // With all answers, for scores.
  RawEpisode raw(int64_t index) const override {
    const size_t i = checked(index);
    auto raw = Source::raw(index);
    raw.id = std::string(set_.ids[i]);
    raw.leaves[0].encoded = {read_file(folder_ / image_file(prefix_, set_.image_ids[i]))};
    std::vector<std::string> answers;
    for (size_t k = 0; k < set_.num_answers[i]; ++k) answers.push_back(set_.texts[set_.answers[set_.first_answer[i] + k]]);
    raw.leaves.push_back({"fields", "answers", {}, std::move(answers)});
    auto attributes = json::parse(set_.texts[set_.details[i]]);
    attributes["question_id"] = std::string(set_.ids[i]);
    attributes["image_id"] = set_.image_ids[i];
    attributes["image"] = image_file(prefix_, set_.image_ids[i]);
    raw.attributes = attributes.dump();
    return raw;
  }

  std::string about() const override { return set_.about.dump(); }

 private:
  size_t checked(int64_t index) const {
    TORCH_CHECK(index >= 0 && index < size(), "index ", index, " of ", size());
    return static_cast<size_t>(index);
  }

  // Of 2014 the names say the set, of 2017 they are digits alone; the set may be a folder of its own.
  std::string find_prefix() const {
    const auto& set = set_.image_set;
    if (!set.empty()) check_image_name(set, "the set of images that the questions are about");
    std::vector<std::string> tried;
    for (const auto& folder : {std::string(), set.empty() ? "" : set + "/"})
      for (const auto& name : {set.empty() ? "" : "COCO_" + set + "_", std::string()})
        if (const auto prefix = folder + name; std::filesystem::exists(folder_ / image_file(prefix, set_.image_ids[0])))
          return prefix;
        else tried.push_back("'" + image_file(prefix, set_.image_ids[0]) + "'");
    throw Error(
        "the image " + std::to_string(set_.image_ids[0]) + " of the first question is not in '" + folder_.string() + "'",
        "looked for " + comma_separated(tried) + "; images = \"FOLDER\" is that of COCO's images");
  }

  std::filesystem::path folder_;
  Schema schema_;
  VqaQuestions set_;
  std::string prefix_;  // of the files of the images, before their ids
};

}  // namespace

void add_vqa(SourceRegistry& registry) {
  registry.add(
      "vqa", [](const DataEntry& entry, Split) -> std::unique_ptr<Source> { return std::make_unique<Vqa>(entry); },
      {"questions about COCO's images: VQAv2 and OK-VQA (questions and annotations, joined by question_id) and A-OKVQA "
       "(questions alone): the observations 'image' and 'question', and the answer 'answer' that most people gave. images: "
       "the folder of COCO_train2014_000000000009.jpg or 000000000009.jpg",
       {"questions", "annotations", "images", "held_out"}});
}

}  // namespace mugato::data
