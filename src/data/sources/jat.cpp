// The layout of jat-project/jat-dataset on Hugging Face. A task of control has a row an episode, and in it lists over the
// timesteps: {text,image,discrete,continuous}_observations, {discrete,continuous}_actions, rewards. The other tasks have a row
// a text (`text`), or a picture with its caption (`images`, `text`); of OK-VQA the text is "Q: question A: answer".
#include "../image_file.h"
#include "formats.h"

#if MUGATO_ARROW

#include <filesystem>
#include <set>

#include "encoded_image.h"
#include "mugato/core/error.h"
#include "mugato/core/text.h"
#include "parquet_file.h"

namespace mugato::data {
namespace {

using Kind = ParquetColumn::Kind;

constexpr const char* kControlColumns[] = {"text_observations",
                                           "image_observations",
                                           "discrete_observations",
                                           "continuous_observations",
                                           "discrete_actions",
                                           "continuous_actions",
                                           "rewards"};
constexpr std::string_view kQuestion = "Q: ", kAnswer = " A: ";
constexpr int64_t kStackedFrames = 4;  // Atari: the last four frames in grey, the newest last, as one picture of 4 channels

const char* const kLayout =
    "a row of this layout is an episode: lists over the timesteps of text_observations, image_observations, "
    "discrete_observations, continuous_observations, discrete_actions, continuous_actions and rewards; or text, or images and "
    "text";

bool begins_with(std::string_view text, std::string_view beginning) { return text.substr(0, beginning.size()) == beginning; }
bool is_action(std::string_view column) { return column.find("_actions") != std::string_view::npos; }

// "train", "test" or nothing: how the file's name begins, or else its folder's.
std::string split_of(const std::filesystem::path& file) {
  for (const auto& name : {file.filename(), file.parent_path().filename()})
    for (const char* split : {"train", "test"})
      if (begins_with(name.native(), split)) return split;
  return "";
}

void check_one_split(const Storage& storage, const std::vector<std::string>& files) {
  std::set<std::string> splits;
  for (const auto& file : files) splits.insert(split_of(file));
  if (splits.contains("train") && splits.contains("test"))
    throw Error(storage.name_of(storage.root()) + " has files to train on and files to test on",
                "name the ones to read: path = \".../train-*.parquet\"");
}

std::vector<std::string> chosen_columns(const ParquetFile& file) {
  std::vector<std::string> chosen;
  for (const char* name : kControlColumns)
    if (file.has(name) && file.column(name).type != "null") chosen.push_back(name);
  if (!chosen.empty()) return chosen;
  if (!file.has("text")) throw Error(file.name() + " has none of the columns of jat-project/jat-dataset", kLayout);
  if (file.has("images")) return {"images", "text"};
  return {"text"};
}

// The rows of a task, as columns; what the two kinds of tasks share.
class JatSource : public Source {
 public:
  explicit JatSource(std::shared_ptr<ParquetRows> rows) : rows_(std::move(rows)) {}
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return rows_->size(); }
  ReadingOrder reading_order() const override { return rows_->reading_order(); }
  std::string about() const override { return rows_->about(); }

 protected:
  std::shared_ptr<ParquetRows> rows_;
  Schema schema_;
};

class JatText : public JatSource {
 public:
  explicit JatText(std::shared_ptr<ParquetRows> rows) : JatSource(std::move(rows)) {
    has_images_ = rows_->columns().size() == 2;
    rows_->require("text", Kind::kText, 0);
    if (has_images_) rows_->require("images", Kind::kImage, 0);
    has_questions_ = has_images_ && begins_with(text_of(0), kQuestion);
    if (has_images_) schema_.fields.push_back({.name = "images", .modality = Modality::kImage});
    if (has_questions_) schema_.fields.push_back({.name = "question", .modality = Modality::kText});
    schema_.fields.push_back({.name = has_questions_ ? "answer" : "text",
                              .modality = Modality::kText,
                              .role = has_images_ ? Role::kAnswer : Role::kText});
  }

  Episode get(int64_t index) const override {
    const auto row = rows_->get(index);
    Episode episode{.num_steps = 1, .id = rows_->name_of(index)};
    if (has_images_) episode.fields.push_back({decode_image(row->at(0).strings[0], episode.id).unsqueeze(0), {}});
    const auto& text = row->back().strings[0];
    if (!has_questions_) {
      episode.fields.push_back({{}, {text}});
      return episode;
    }
    const auto answer = text.rfind(kAnswer);
    if (!begins_with(text, kQuestion) || answer == std::string::npos)
      throw Error(episode.id + ": the text is not \"Q: question A: answer\"", "the first row of these files is");
    episode.fields.push_back({{}, {text.substr(kQuestion.size(), answer - kQuestion.size())}});
    episode.fields.push_back({{}, {text.substr(answer + kAnswer.size())}});
    return episode;
  }

  RawEpisode raw(int64_t index) const override {
    const auto row = rows_->get(index);
    const auto id = rows_->name_of(index);
    RawEpisode raw{.id = id, .num_steps = 1};
    if (has_images_)
      raw.leaves.push_back(
          {"fields", "images", decode_image(row->at(0).strings[0], id).unsqueeze(0), {}, {row->at(0).strings[0]}});
    raw.leaves.push_back({"fields", "text", {}, row->back().strings});
    return raw;
  }

 private:
  std::string text_of(int64_t index) const { return rows_->get(index)->back().strings[0]; }

  bool has_images_ = false, has_questions_ = false;
};

class JatControl : public JatSource {
 public:
  explicit JatControl(std::shared_ptr<ParquetRows> rows) : JatSource(std::move(rows)) {
    const auto first = raw(0);
    for (size_t i = 0; i < first.leaves.size(); ++i) {
      if (first.leaves[i].name == "rewards") continue;
      schema_.fields.push_back(field_of(first.leaves[i]));
      columns_.push_back(i);
    }
    if (schema_.fields.empty()) throw Error(rows_->name_of(0) + ": there are rewards and nothing else", kLayout);
  }

  Episode get(int64_t index) const override {
    auto raw_episode = raw(index);
    Episode episode{.num_steps = raw_episode.num_steps, .id = rows_->name_of(index)};
    for (size_t i = 0; i < columns_.size(); ++i) {
      auto& leaf = raw_episode.leaves[columns_[i]];
      episode.fields.push_back({values_of(leaf, schema_.fields[i], episode.id), std::move(leaf.text)});
    }
    for (const auto& leaf : raw_episode.leaves)
      if (leaf.name == "rewards") {
        episode.rewards = leaf.values;
        episode.total_return = leaf.values.sum(at::kDouble).item<double>();
      }
    return episode;
  }

  RawEpisode raw(int64_t index) const override {
    const auto row = rows_->get(index);
    const auto id = rows_->name_of(index);
    RawEpisode raw{.id = id, .num_steps = row->at(0).size()};
    if (raw.num_steps == 0) throw Error(id + ": the episode has no timestep", "leave the row out");
    for (size_t i = 0; i < row->size(); ++i) {
      const auto& column = rows_->columns()[i];
      if (row->at(i).size() != raw.num_steps)
        throw Error(id + ": the column '" + column.name + "' has " + std::to_string(row->at(i).size()) + " timesteps, '" +
                        rows_->columns()[0].name + "' has " + std::to_string(raw.num_steps),
                    "all columns of a row have to have as many");
      Leaf leaf{column.name == "rewards" ? "" : "fields", column.name, row->at(i).numbers, {}};
      if (column.kind == Kind::kText) leaf.text = row->at(i).strings;
      if (column.kind == Kind::kImage) {
        leaf.values = decode_all(row->at(i).strings, decode_channels, id);
        leaf.encoded = row->at(i).strings;
      }
      raw.leaves.push_back(std::move(leaf));
    }
    return raw;
  }

 private:
  FieldSpec field_of(const Leaf& leaf) const {
    FieldSpec field{.name = leaf.name, .role = is_action(leaf.name) ? Role::kAction : Role::kObservation};
    if (!leaf.values.defined()) return field;
    field.shape = leaf.values.sizes().slice(1).vec();
    if (begins_with(leaf.name, "image_")) {
      field.modality = Modality::kImage;
      if (field.shape.size() == 3 && field.shape[2] == kStackedFrames) field.shape[2] = 3;
    } else if (begins_with(leaf.name, "discrete_")) {
      field.modality = Modality::kDiscrete;
      field.num_values = {num_values(leaf.name)};
    } else {
      field.modality = Modality::kContinuous;
      field.mu_law = field.role == Role::kObservation;  // paper 2.1
      if (!field.mu_law) {
        const auto [low, high] = action_range(leaf.name);
        field.low = {low};
        field.high = {high};
      }
    }
    return field;
  }

  // The layout does not say how many values there are, or which range: what the data have is taken.
  int64_t num_values(const std::string& column) const {
    const auto [low, high] = rows_->range(column);
    if (low < 0 || high > 1e9)
      throw Error(rows_->name_of(0) + ": the column '" + column + "' has values from " + std::to_string(std::llround(low)) +
                      " to " + std::to_string(std::llround(high)),
                  "discrete values count from 0");
    return std::llround(high) + 1;
  }

  std::pair<double, double> action_range(const std::string& column) const {
    const auto [low, high] = rows_->range(column);
    if (!std::isfinite(low) || !std::isfinite(high))
      throw Error(rows_->name_of(0) + ": the column '" + column + "' has values that are not finite", "make the data again");
    return low < high ? std::pair(low, high) : std::pair(low - 1, high + 1);
  }

  at::Tensor values_of(const Leaf& leaf, const FieldSpec& field, const std::string& id) const {
    if (field.modality == Modality::kText) return {};
    auto values = leaf.values;
    if (field.modality == Modality::kImage && values.dim() == 4 && values.size(3) == kStackedFrames)
      values = values.narrow(3, 1, 3);  // red, green, blue: the newest three
    if (values.sizes().slice(1) != at::IntArrayRef(field.shape))
      throw Error(id + ": the column '" + field.name + "' has values of another shape than in the first row",
                  "all episodes of a task have one shape");
    if (field.modality == Modality::kDiscrete) return values.to(at::kLong);
    return field.modality == Modality::kContinuous ? values.to(at::kFloat) : values.contiguous();
  }

  std::vector<size_t> columns_;  // of the rows, parallel to the schema's fields
};

bool fits(const ParquetColumn& column) {
  const bool number = column.kind == Kind::kNumber && column.depth >= 1, floating = at::isFloatingType(column.number);
  if (begins_with(column.name, "text_")) return column.kind == Kind::kText && column.depth == 1;
  if (begins_with(column.name, "image_"))
    return column.kind == Kind::kImage ? column.depth == 1 : number && column.number == at::kByte && column.depth >= 3;
  if (begins_with(column.name, "discrete_")) return number && !floating;
  return number && floating && (column.name != "rewards" || column.depth == 1);
}

void check_types(const ParquetRows& rows) {
  for (const auto& column : rows.columns())
    if (!fits(column)) throw Error(rows.name_of(0) + ": the column '" + column.name + "' is " + column.type, kLayout);
}

std::unique_ptr<Source> build(const DataEntry& entry) {
  const Storage storage(entry.reading.path);
  auto files = storage.find(".parquet");
  check_one_split(storage, files);
  const auto columns = chosen_columns(*ParquetFile::open(storage, files[0]));
  const auto rows = std::make_shared<ParquetRows>(storage, std::move(files), columns);
  if (columns.back() == "text") return std::make_unique<JatText>(rows);
  check_types(*rows);
  return std::make_unique<JatControl>(rows);
}

}  // namespace

void add_jat(SourceRegistry& registry) {
  registry.add("jat", [](const DataEntry& entry, Split) { return build(entry); },
               {"Parquet of jat-project/jat-dataset: a row an episode, or a text, or a picture with its caption or question",
                {"path", "held_out"}});
}

}  // namespace mugato::data

#else

namespace mugato::data {

void add_jat(SourceRegistry& registry) { add_missing(registry, "jat", "Arrow", "pyarrow's libraries"); }

}  // namespace mugato::data

#endif
