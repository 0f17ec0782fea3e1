// LeRobot data sets, v2.1 and v3.0: tables of timesteps in Parquet, cameras as encoded pictures in them or as videos beside
// them.
#include "../image_file.h"
#include "formats.h"

#if MUGATO_ARROW && MUGATO_AV

#include <filesystem>
#include <nlohmann/json.hpp>

#include "encoded_image.h"
#include "lerobot_info.h"
#include "mugato/core/error.h"
#include "mugato/core/registry.h"
#include "mugato/core/text.h"
#include "parquet_file.h"
#include "video_file.h"

namespace mugato::data {
namespace {

constexpr double kTolerance = 1e-4;          // seconds between a timestep and its frame, as the lerobot package allows
constexpr double kMaxDiscreteValues = 1024;  // whole numbers beyond are read as continuous
const char* const kTask = "task";

// Columns that number the timesteps, and what follows the action.
bool is_bookkeeping(const LeRobotFeature& feature) {
  constexpr const char* kNumbers[] = {"timestamp", "frame_index", "episode_index", "index", "task_index"};
  return std::find(std::begin(kNumbers), std::end(kNumbers), feature.name) != std::end(kNumbers) ||
         feature.name.starts_with("next.") || feature.dtype == "language";
}

bool is_action(const std::string& name) { return name == "action" || name == "actions" || name.starts_with("action."); }

// Leaves out the cameras that are not asked for, by their whole names or what follows the last dot that they need.
void keep_cameras(std::vector<LeRobotFeature>& features, const std::vector<std::string>& wanted, const std::string& where) {
  std::vector<std::string> cameras;
  for (const auto& feature : features)
    if (feature.is_camera()) cameras.push_back(feature.name);
  const auto means = [](const std::string& asked, const std::string& name) {
    return name == asked || name.ends_with("." + asked);
  };
  for (const auto& asked : wanted)
    if (std::none_of(cameras.begin(), cameras.end(), [&](const auto& name) { return means(asked, name); }))
      throw Error(where + " has no camera '" + asked + "'",
                  cameras.empty() ? "it has none"
                                  : "did you mean '" + nearest_name(asked, cameras) + "'? It has: " + comma_separated(cameras));
  std::erase_if(features, [&](const LeRobotFeature& feature) {
    return feature.is_camera() && !wanted.empty() &&
           std::none_of(wanted.begin(), wanted.end(), [&](const auto& asked) { return means(asked, feature.name); });
  });
  for (const auto& feature : features)
    if (feature.is_camera() && (feature.depth_map || feature.shape[2] != 3))
      throw Error(where + ": the camera '" + feature.name + "' has no pictures of three channels",
                  "name the cameras to read: cameras = [...]");
}

FieldSpec field_of(const LeRobotFeature& feature, bool has_range, const std::string& where) {
  FieldSpec field{.name = feature.name, .role = is_action(feature.name) ? Role::kAction : Role::kObservation};
  if (feature.dtype == "string") return field;
  field.shape = feature.shape;
  if (feature.is_camera()) {
    field.modality = Modality::kImage;
    return field;
  }
  const auto& range = feature.range;
  const bool integer = feature.dtype.starts_with("int") || feature.dtype.starts_with("uint");
  if (feature.dtype == "bool" || (integer && range && range->first >= 0 && range->second < kMaxDiscreteValues)) {
    field.modality = Modality::kDiscrete;
    field.num_values = {feature.dtype == "bool" ? 2 : static_cast<int64_t>(range->second) + 1};
    return field;
  }
  if (!integer && !feature.dtype.starts_with("float"))
    throw Error(where + ": the feature '" + feature.name + "' has the dtype " + feature.dtype, "it cannot be read");
  field.modality = Modality::kContinuous;
  field.mu_law = field.role == Role::kObservation;  // paper 2.1
  if (field.mu_law || has_range) return field;
  if (!range || !std::isfinite(range->first) || !std::isfinite(range->second))
    throw Error(where + " has no statistics of the feature '" + feature.name + "'",
                "give its range: fields.\"" + feature.name + "\".range = [low, high]");
  const double widened = range->first == range->second ? 1.0 : 0.0;
  field.low = {range->first - widened};
  field.high = {range->second + widened};
  return field;
}

class LeRobotSource : public Source {
 public:
  explicit LeRobotSource(const DataEntry& entry)
      : storage_(entry.reading.path), info_(LeRobotInfo::read(storage_)), name_(storage_.name_of(storage_.root())) {
    keep_cameras(info_.features, entry.reading.cameras, name_);
    for (const auto& feature : info_.features) {
      if (feature.dtype != "video" && feature.dtype != "language") columns_.push_back(feature.name);
      if (is_bookkeeping(feature)) continue;
      const auto change = entry.fields.find(feature.name);
      schema_.fields.push_back(field_of(feature, change != entry.fields.end() && !change->second.range.empty(), name_));
      features_.push_back(feature);
    }
    schema_.fields.push_back({.name = kTask, .modality = Modality::kText});
    make_runs();
  }

  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return cache_->size(); }
  ReadingOrder reading_order() const override { return cache_->order(); }

  std::string about() const override {
    return nlohmann::json{{"layout", info_.version}, {"fps", info_.fps}, {"episodes", size()}, {"tasks", info_.tasks.size()}}
        .dump();
  }

  Episode get(int64_t index) const override {
    const auto& from = info_.episodes[static_cast<size_t>(index)];
    const auto rows = cache_->get(index);
    Episode episode{.num_steps = from.length, .id = id_of(from)};
    for (size_t i = 0; i < features_.size(); ++i) {
      auto leaf = leaf_of(features_[i], *rows, from);
      if (schema_.fields[i].modality == Modality::kContinuous) leaf.values = leaf.values.to(at::kFloat);
      if (schema_.fields[i].modality == Modality::kDiscrete) leaf.values = leaf.values.to(at::kLong);
      episode.fields.push_back({std::move(leaf.values), std::move(leaf.text)});
    }
    episode.fields.push_back({{}, tasks_of(*rows, from)});
    if (has_column("next.reward")) {
      episode.rewards = column(*rows, "next.reward").numbers.view({-1});
      episode.total_return = episode.rewards.sum(at::kDouble).item<double>();
    }
    if (has_column("next.success")) episode.success = column(*rows, "next.success").numbers.to(at::kBool).any().item<bool>();
    return episode;
  }

  RawEpisode raw(int64_t index) const override {
    const auto& from = info_.episodes[static_cast<size_t>(index)];
    const auto rows = cache_->get(index);
    RawEpisode raw{.id = id_of(from), .num_steps = from.length};
    for (const auto& feature : info_.features) {
      if (feature.dtype == "language") continue;
      raw.leaves.push_back(leaf_of(feature, *rows, from));
      if (feature.dtype == "image") raw.leaves.back().encoded = column(*rows, feature.name).strings;
    }
    raw.leaves.push_back({"fields", kTask, {}, tasks_of(*rows, from)});
    return raw;
  }

 private:
  using Rows = std::vector<ColumnValues>;  // of an episode, parallel to columns_

  void make_runs() {
    const auto& episodes = info_.episodes;
    ReadingOrder order;
    int64_t num_frames = 0;
    for (size_t i = 0; i < episodes.size(); ++i) {
      if (i == 0 || episodes[i].data != episodes[i - 1].data) {
        run_begin_.push_back(i);
        order.runs.push_back(0);
      }
      ++order.runs.back();
      num_frames += episodes[i].length;
    }
    const auto first = ParquetFile::open(storage_, episodes[0].data);
    check_columns(*first);
    const int64_t bytes = first->bytes_per_row(columns_);
    batch_rows_ = PieceSize::of(bytes).rows;
    const auto piece = PieceSize::of(bytes * std::max<int64_t>(1, num_frames / static_cast<int64_t>(episodes.size())));
    order.block = piece.rows;
    cache_ = std::make_unique<RunCache<Rows>>(
        std::move(order), [this](int64_t run) { return open_run(run); }, piece.max_pieces);
  }

  void check_columns(const ParquetFile& table) const {
    for (const auto& feature : info_.features) {
      if (feature.dtype == "video" || feature.dtype == "language") continue;
      const auto& column = table.column(feature.name);
      const auto kind = feature.dtype == "string"  ? ParquetColumn::Kind::kText
                        : feature.dtype == "image" ? ParquetColumn::Kind::kImage
                                                   : ParquetColumn::Kind::kNumber;
      if (column.kind != kind || (column.depth != 0 && kind != ParquetColumn::Kind::kNumber))
        throw Error(table.name() + " column '" + feature.name + "' is " + column.type + ", info.json says " + feature.dtype,
                    "make the data set again");
    }
    for (const char* needed : {"timestamp", "episode_index", "task_index"})
      if (!has_column(needed)) throw Error(name_ + ": info.json has no feature '" + std::string(needed) + "'", "make it again");
    for (const char* number : {"timestamp", "episode_index", "task_index", "next.reward", "next.success"})
      if (has_column(number) && !table.column(number).is_one_number())
        throw Error(table.name() + " column '" + number + "' is " + table.column(number).type + ", not a number a row",
                    "make the data set again");
  }

  // The episodes of a table, one after the other.
  RunCache<Rows>::Next open_run(int64_t run) const {
    const size_t begin = run_begin_[static_cast<size_t>(run)];
    const auto table = ParquetFile::open(storage_, info_.episodes[begin].data);
    check_columns(*table);
    std::shared_ptr<ParquetStream> stream =
        table->rows(columns_, 0, static_cast<int64_t>(table->row_groups().size()), batch_rows_);
    return [this, table, stream, next = begin, row = int64_t{0}]() mutable -> std::optional<Rows> {
      const auto& episode = info_.episodes[next++];
      const bool whole = info_.version != "v2.1" || episode.length == table->num_rows();
      if (episode.first_row != row || episode.length > table->num_rows() - row || !whole)
        throw Error(table->name() + ": episode " + std::to_string(episode.index) + " is said to have rows " +
                        std::to_string(episode.first_row) + " to " + std::to_string(episode.first_row + episode.length) +
                        ", it begins at row " + std::to_string(row) + " of " + std::to_string(table->num_rows()),
                    "meta/ and data/ do not belong together, or the copy is incomplete");
      row += episode.length;
      auto rows = stream->take(episode.length);
      const auto numbers = column(rows, "episode_index").numbers;
      if (!numbers.eq(episode.index).all().item<bool>())
        throw Error(table->name() + ": the rows of episode " + std::to_string(episode.index) + " are of other episodes",
                    "meta/ and data/ do not belong together");
      return rows;
    };
  }

  bool has_column(const std::string& name) const { return std::find(columns_.begin(), columns_.end(), name) != columns_.end(); }

  const ColumnValues& column(const Rows& rows, const std::string& name) const {
    return rows[static_cast<size_t>(std::find(columns_.begin(), columns_.end(), name) - columns_.begin())];
  }

  std::string id_of(const LeRobotEpisode& episode) const {
    return std::filesystem::path(storage_.root()).filename().string() + " episode " + std::to_string(episode.index);
  }

  // (E, shape...): as the table has it, pictures decoded.
  Leaf leaf_of(const LeRobotFeature& feature, const Rows& rows, const LeRobotEpisode& episode) const {
    Leaf leaf{"fields", feature.name, {}, {}};
    std::vector<int64_t> shape = {episode.length};
    shape.insert(shape.end(), feature.shape.begin(), feature.shape.end());
    const auto where = name_ + " episode " + std::to_string(episode.index) + " feature '" + feature.name + "'";
    if (feature.dtype == "string") {
      leaf.text = column(rows, feature.name).strings;
    } else if (feature.dtype == "video") {
      leaf.values = frames_of(feature, rows, episode, where);
    } else {
      leaf.values = feature.dtype == "image" ? decode_all(column(rows, feature.name).strings, decode_image, where)
                                             : column(rows, feature.name).numbers;
      if (leaf.values.dim() == 1) leaf.values = leaf.values.unsqueeze(1);  // a feature of one value is a column without lists
      if (leaf.values.sizes() != at::IntArrayRef(shape))
        throw Error(where + " has another shape than info.json says", "make the data set again");
    }
    return leaf;
  }

  at::Tensor frames_of(const LeRobotFeature& feature, const Rows& rows, const LeRobotEpisode& episode,
                       const std::string& where) const {
    const int64_t height = feature.shape[0], width = feature.shape[1];
    check_picture_bytes(episode.length, 3 * height * width, where);
    const auto& video = episode.videos.at(feature.name);
    const auto stamps = column(rows, "timestamp").numbers.to(at::kDouble);
    std::vector<double> times;
    for (int64_t e = 0; e < episode.length; ++e) times.push_back(video.begin + stamps.const_data_ptr<double>()[e]);
    const double rounding = stamps.abs().max().item<double>() * std::numeric_limits<float>::epsilon();  // the table has floats
    return VideoFile(storage_, video.path).frames(times, std::max(kTolerance, rounding), height, width);
  }

  std::vector<std::string> tasks_of(const Rows& rows, const LeRobotEpisode& episode) const {
    const auto numbers = column(rows, "task_index").numbers.to(at::kLong);
    std::vector<std::string> tasks;
    for (int64_t e = 0; e < episode.length; ++e) {
      const auto found = info_.tasks.find(numbers.const_data_ptr<int64_t>()[e]);
      if (found == info_.tasks.end())
        throw Error(name_ + " episode " + std::to_string(episode.index) + ": meta/ has no task " +
                        std::to_string(numbers.const_data_ptr<int64_t>()[e]),
                    "meta/ and data/ do not belong together");
      tasks.push_back(found->second);
    }
    return tasks;
  }

  Storage storage_;
  LeRobotInfo info_;
  std::string name_;
  Schema schema_;
  std::vector<LeRobotFeature> features_;  // parallel to the schema's fields, without the task
  std::vector<std::string> columns_;      // that are read of the tables
  std::vector<size_t> run_begin_;         // first episode of each table
  int64_t batch_rows_ = 1;
  std::unique_ptr<RunCache<Rows>> cache_;
};

}  // namespace

void add_lerobot(SourceRegistry& registry) {
  registry.add("lerobot", [](const DataEntry& entry, Split) { return std::make_unique<LeRobotSource>(entry); },
               {"a LeRobot data set, v2.1 or v3.0: the folder that has meta/, data/ and videos/, or its URL",
                {"path", "cameras", "held_out"}});
}

}  // namespace mugato::data

#else

namespace mugato::data {

void add_lerobot(SourceRegistry& registry) {
  add_missing(registry, "lerobot", "Arrow and FFmpeg", "pyarrow's libraries, libavformat-dev and libswscale-dev");
}

}  // namespace mugato::data

#endif
