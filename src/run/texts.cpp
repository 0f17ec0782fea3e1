#include "mugato/run/texts.h"

#include <algorithm>
#include <deque>

#include "mugato/core/error.h"
#include "mugato/data/mixture.h"

namespace mugato::run {
namespace {

bool has_text(const Schema& schema) {
  return std::any_of(schema.fields.begin(), schema.fields.end(),
                     [](const FieldSpec& field) { return field.modality == Modality::kText; });
}

class TrainingTexts {
 public:
  TrainingTexts(const RunConfig& config, const Registries& registries, int64_t documents) : left_(documents) {
    std::vector<double> weights;
    std::vector<int64_t> sizes;
    for (const auto& entry : config.data) {
      if (entry.weight <= 0.0) continue;
      std::shared_ptr<const data::Source> source = registries.sources.build(entry.source, entry, data::Split::kTrain);
      if (!has_text(source->schema())) continue;
      weights.push_back(entry.weight);
      sizes.push_back(source->size());
      sources_.push_back(std::move(source));
    }
    if (sources_.empty())
      throw Error("no [[data]] entry has text to train a tokenizer on", "add one with a text field and a weight above 0");
    mixture_.emplace(weights, sizes, static_cast<uint64_t>(config.seed));
  }

  std::optional<std::string> next() {
    while (texts_.empty() && left_ > 0 && num_whole_ < sources_.size()) read_episode();
    if (texts_.empty()) return std::nullopt;
    auto text = std::move(texts_.front());
    texts_.pop_front();
    return text;
  }

 private:
  void read_episode() {
    const auto draw = mixture_->draw(number_++);
    const auto& source = *sources_[draw.source];
    if (draw.count >= source.size()) return;  // all of it was read
    if (draw.count + 1 == source.size()) ++num_whole_;
    --left_;
    const auto episode = source.get(draw.index);
    for (size_t f = 0; f < episode.fields.size(); ++f) {
      if (source.schema().fields[f].modality != Modality::kText) continue;
      const auto& texts = episode.fields[f].text;
      for (size_t e = 0; e < texts.size(); ++e)
        if (e == 0 || texts[e] != texts[e - 1]) texts_.push_back(texts[e]);
    }
  }

  std::vector<std::shared_ptr<const data::Source>> sources_;  // that have text
  std::optional<data::Mixture> mixture_;
  int64_t number_ = 0, left_;
  size_t num_whole_ = 0;  // sources of which every episode was read
  std::deque<std::string> texts_;
};

}  // namespace

text::TextStream training_texts(const RunConfig& config, const Registries& registries, int64_t documents) {
  auto texts = std::make_shared<TrainingTexts>(config, registries, documents);
  return [texts] { return texts->next(); };
}

}  // namespace mugato::run
