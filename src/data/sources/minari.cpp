#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "formats.h"
#include "jpeg.h"
#include "minari_spaces.h"
#include "minari_storage.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/core/text.h"
#include "python_json.h"

namespace mugato::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxMetadataBytes = 256 << 20;

// The folder with the data: `path` is the data set's folder, or its id under Minari's root.
fs::path find_data(const std::string& path) {
  if (path.empty()) throw Error("a Minari data set needs a path", "give its folder, or its id such as babyai/gotolocal/bot-v0");
  const fs::path here = fs::path(path) / "data";
  if (fs::is_directory(here)) return here;
  fs::path root;
  if (const char* named = std::getenv("MINARI_DATASETS_PATH"); named && *named) root = named;
  else if (const char* home = std::getenv("HOME")) root = fs::path(home) / ".minari" / "datasets";
  const fs::path there = root / path / "data";
  if (fs::is_directory(there)) return there;
  throw Error(
      "there is no Minari data set '" + path + "': neither '" + here.string() + "' nor '" + there.string() + "' is a folder",
      "give the folder that holds data/, or an id that `minari download` has fetched");
}

json read_metadata(const fs::path& data) {
  const auto path = data / "metadata.json";
  if (!fs::exists(path)) return minari_root_attributes(data);
  if (fs::file_size(path) > kMaxMetadataBytes)
    throw Error("'" + path.string() + "' has " + std::to_string(fs::file_size(path)) + " bytes", "is it Minari's?");
  return parse_python_json(read_file(path), "'" + path.string() + "'");
}

class MinariSource : public Source {
 public:
  explicit MinariSource(const ReadingOptions& options) : data_(find_data(options.path)) {
    const auto metadata = read_metadata(data_);
    if (!metadata.is_object()) fail("is no JSON object");
    open(metadata);
    add_fields(parse_space(text(metadata, "observation_space"), metadata_name() + ": its observation_space"), false);
    add_fields(parse_space(text(metadata, "action_space"), metadata_name() + ": its action_space"), true);
    if (!options.cameras.empty()) keep_cameras(options.cameras);
    for (const auto& field : fields_) schema_.fields.push_back(field.spec);
    read_.push_back({.top = "rewards"});
  }

  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return storage_->num_episodes(); }
  std::string about() const override { return about_; }

  Episode get(int64_t index) const override {
    auto columns = storage_->read(index, read_);
    Episode episode{.num_steps = storage_->num_steps(index), .id = storage_->name(index)};
    for (size_t i = 0; i < fields_.size(); ++i) episode.fields.push_back(values_of(i, std::move(columns[i]), index));
    episode.rewards = rewards_of(columns.back(), index);
    episode.total_return = sum(episode.rewards);
    return episode;
  }

  double episode_return(int64_t index) const override {
    return sum(rewards_of(storage_->read(index, std::span(&read_.back(), 1)).front(), index));
  }

  RawEpisode raw(int64_t index) const override {
    RawEpisode episode{.id = index, .num_steps = storage_->num_steps(index)};
    episode.attributes = storage_->attributes(index).dump(-1, ' ', false, json::error_handler_t::replace);
    auto leaves = all_;
    for (const char* name : {"rewards", "terminations", "truncations"}) leaves.push_back({.top = name});
    auto columns = storage_->read(index, leaves);
    for (size_t i = 0; i < leaves.size(); ++i) {
      const bool stands_alone = i >= all_.size();
      Leaf leaf{stands_alone ? "" : leaves[i].top, stands_alone ? leaves[i].top : SpaceLeaf{.path = leaves[i].path}.name()};
      if (!columns[i].numbers.defined() && !is_picture(leaves[i])) leaf.text = columns[i].take_strings();
      else leaf.values = decoded(leaves[i], columns[i], columns[i].size(), index);
      if (holds_jpegs(leaves[i], columns[i]))
        for (int64_t row = 0; row < columns[i].size(); ++row) leaf.encoded.emplace_back(jpeg_at(columns[i], row));
      episode.leaves.push_back(std::move(leaf));
    }
    return episode;
  }

 private:
  std::string metadata_name() const { return "'" + (data_ / "metadata.json").string() + "'"; }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(metadata_name() + " " + what, "Minari writes metadata.json; copy it again, or update the data set with Minari");
  }

  std::string text(const json& metadata, const char* key) const {
    if (!metadata.contains(key) || !metadata[key].is_string()) fail(std::string("has no '") + key + "'");
    return metadata[key].get<std::string>();
  }

  void open(const json& metadata) {
    const std::string format = metadata.contains("data_format") ? text(metadata, "data_format") : "hdf5";
    if (format == "hdf5") storage_ = open_minari_hdf5(data_);
    else if (format == "arrow" || format == "parquet") storage_ = open_minari_arrow(data_, format);
    else fail("says that the data_format is '" + format + "', which is none of hdf5, arrow and parquet");
    const auto total = metadata.value("total_episodes", json(nullptr));
    if (!total.is_number_integer()) fail("has no 'total_episodes'");
    if (total != storage_->num_episodes())
      fail("says that there are " + total.dump() + " episodes, and there are " + std::to_string(storage_->num_episodes()));
    json about = json::object();
    if (metadata.contains("dataset_id")) about["dataset_id"] = metadata["dataset_id"];
    if (metadata.contains("jpeg_encoding")) about["jpeg"] = metadata["jpeg_encoding"];
    about_ = about.dump(-1, ' ', false, json::error_handler_t::replace);
  }

  // Observations have the names of their leaves; where an action has the name already, or there is but one leaf, "observation"
  // stands before it.
  void add_fields(std::vector<SpaceLeaf> leaves, bool action) {
    const std::string kind = action ? "action" : "observation";
    for (auto& leaf : leaves) {
      const std::string name = leaf.name();
      const bool is_plain = !action && !name.empty() && name != "action" && !name.starts_with("action/");
      read_.push_back({action ? "actions" : "observations", leaf.path, leaf.shape});
      all_.push_back(read_.back());
      fields_.push_back(minari_field(std::move(leaf), is_plain ? name : name.empty() ? kind : kind + "/" + name, action));
    }
  }

  void keep_cameras(const std::vector<std::string>& cameras) {
    const auto is_image = [](const MinariField& field) { return field.spec.modality == Modality::kImage; };
    std::vector<std::string> images;
    for (const auto& field : fields_)
      if (is_image(field)) images.push_back(field.spec.name);
    for (const auto& camera : cameras)
      if (std::find(images.begin(), images.end(), camera) == images.end())
        throw Error(data_.string() + " has no image field '" + camera + "'", "its images are: " + comma_separated(images));
    for (size_t i = fields_.size(); i-- > 0;)
      if (is_image(fields_[i]) && std::find(cameras.begin(), cameras.end(), fields_[i].spec.name) == cameras.end()) {
        fields_.erase(fields_.begin() + static_cast<std::ptrdiff_t>(i));
        read_.erase(read_.begin() + static_cast<std::ptrdiff_t>(i));
      }
  }

  [[noreturn]] void fail(const MinariLeaf& leaf, int64_t episode, const std::string& what, const std::string& hint) const {
    throw Error(storage_->name(episode) + ": '" + leaf.name() + "' " + what, hint);
  }

  static bool is_picture(const MinariLeaf& leaf) { return leaf.shape.size() == 2 || leaf.shape.size() == 3; }

  // JPEGs of one length come as rows of bytes, others as strings.
  static bool holds_jpegs(const MinariLeaf& leaf, const ColumnValues& column) {
    if (!is_picture(leaf)) return false;
    if (!column.numbers.defined()) return column.size() > 0 && is_jpeg(column.bytes(0));
    return column.numbers.dim() == 2 && column.numbers.scalar_type() == at::kByte;
  }

  static std::string_view jpeg_at(const ColumnValues& column, int64_t row) {
    if (!column.numbers.defined()) return column.bytes(row);
    const auto length = column.numbers.size(1);
    return {reinterpret_cast<const char*>(column.numbers.const_data_ptr<uint8_t>()) + row * length,
            static_cast<size_t>(length)};
  }

  // The first `num_rows` rows of a field as mugato reads it.
  FieldValues values_of(size_t index, ColumnValues column, int64_t episode) const {
    const auto& field = fields_[index];
    const auto& leaf = read_[index];
    const int64_t num_steps = storage_->num_steps(episode);
    if (field.spec.modality == Modality::kText) {
      if (column.numbers.defined()) fail(leaf, episode, "is not text", "its space says that it is");
      auto text = column.take_strings();
      text.resize(static_cast<size_t>(num_steps));
      return {{}, std::move(text)};
    }
    auto values = decoded(leaf, column, num_steps, episode);
    if (field.spec.modality == Modality::kContinuous) return {values.to(at::kFloat), {}};
    if (field.spec.modality == Modality::kImage) {
      if (values.scalar_type() != at::kByte)
        fail(leaf, episode, "has pixels that are not uint8", "its space says that it holds uint8");
      return {values, {}};
    }
    if (at::isFloatingType(values.scalar_type()) && !values.eq(values.round()).all().item<bool>())
      fail(leaf, episode, "has values that are not whole numbers", "its space says that they are");
    if (values.scalar_type() != at::kLong) values = values.to(at::kLong);
    return {field.start.defined() ? values - field.start : values, {}};
  }

  // The first `num_rows` rows: numbers as they are, JPEGs as pixels. Raw pixels are told from JPEGs by their axes; which of
  // them a version of Minari wrote does not follow from its number.
  at::Tensor decoded(const MinariLeaf& leaf, const ColumnValues& column, int64_t num_rows, int64_t episode) const {
    if (column.numbers.defined() && column.numbers.sizes().slice(1) == at::IntArrayRef(leaf.shape))
      return num_rows == column.size() ? column.numbers : column.numbers.narrow(0, 0, num_rows);
    if (holds_jpegs(leaf, column)) return decoded_jpegs(leaf, column, num_rows, episode);
    if (!column.numbers.defined()) fail(leaf, episode, "holds neither numbers nor JPEGs", "its space says that it does");
    std::string shape;
    for (const int64_t size : column.numbers.sizes().slice(1)) shape += (shape.empty() ? "" : ",") + std::to_string(size);
    fail(leaf, episode, "has values of shape (" + shape + ") at a timestep, not that of its space",
         "the space is in metadata.json");
  }

  at::Tensor decoded_jpegs(const MinariLeaf& leaf, const ColumnValues& column, int64_t num_rows, int64_t episode) const {
    if (leaf.shape[0] < 32 || leaf.shape[1] < 32)
      fail(leaf, episode, "holds ids as JPEGs, which do not keep them: the data are unusable",
           "Minari 0.5.3 wrote this; record the data set again with another version");
    std::vector<int64_t> sizes{num_rows};
    sizes.insert(sizes.end(), leaf.shape.begin(), leaf.shape.end());
    auto pixels = at::empty(sizes, at::kByte);
    std::vector<std::string_view> images;
    for (int64_t row = 0; row < num_rows; ++row) images.push_back(jpeg_at(column, row));
    decode_jpegs(images, leaf.shape, pixels.mutable_data_ptr<uint8_t>(), storage_->name(episode) + ": '" + leaf.name() + "'");
    return pixels;
  }

  static double sum(const at::Tensor& rewards) {
    const auto contiguous = rewards.contiguous();
    const auto* values = contiguous.const_data_ptr<double>();
    return std::accumulate(values, values + contiguous.numel(), 0.0);
  }

  at::Tensor rewards_of(const ColumnValues& column, int64_t episode) const {
    const auto rewards = decoded(read_.back(), column, column.size(), episode);
    return rewards.scalar_type() == at::kDouble ? rewards : rewards.to(at::kDouble);
  }

  fs::path data_;
  std::unique_ptr<MinariStorage> storage_;
  std::string about_;
  Schema schema_;
  std::vector<MinariField> fields_;  // parallel to the schema
  std::vector<MinariLeaf> read_;     // of every field, and the rewards
  std::vector<MinariLeaf> all_;      // of the two spaces
};

}  // namespace

// The sets of the Farama Foundation's Minari: expert episodes of Gymnasium worlds. Every leaf of the spaces is a field, as
// minari_spaces.h says; the N + 1st observation, which no action follows, is left out.
void add_minari(SourceRegistry& registry) {
  registry.add(
      "minari",
      [](const DataEntry& entry, Split) -> std::unique_ptr<Source> { return std::make_unique<MinariSource>(entry.reading); },
      {"Minari data sets (HDF5, Arrow, Parquet): path is the folder that holds data/, or the id of a downloaded set",
       {"path", "held_out", "cameras"}});
}

}  // namespace mugato::data
