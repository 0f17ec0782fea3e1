#if MUGATO_ARROW

#include "lerobot_info.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "../../core/json_depth.h"
#include "mugato/core/error.h"
#include "parquet_file.h"

namespace mugato::data {
namespace {

using nlohmann::json;

constexpr int64_t kMaxJson = 64 << 20;         // bytes of a file or a line
constexpr int64_t kMaxLength = 1'000'000'000;  // frames of an episode, values of a feature
constexpr int kMaxDepth = 8;                   // of statistics

const char* const kFolder = "the path of a LeRobot data set is the folder that has meta/, data/ and videos/";

json parsed(std::string_view text, const std::string& where) {
  if (is_nested_too_deeply(text)) throw Error(where + " is JSON that is nested too deeply", "make or download it again");
  try {
    return json::parse(text);
  } catch (const json::exception& broken) {
    throw Error(where + " is no JSON: " + broken.what(), "make or download it again");
  }
}

template <class T>
T value(const json& object, const std::string& key, const std::string& where) {
  if (!object.is_object() || !object.contains(key)) throw Error(where + " has no key '" + key + "'", kFolder);
  try {
    return object.at(key).get<T>();
  } catch (const json::exception&) {
    throw Error(where + ": the key '" + key + "' is " + object.at(key).type_name(), "make the data set again");
  }
}

int64_t count(const json& object, const std::string& key, const std::string& where, int64_t low) {
  const auto number = value<double>(object, key, where);
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(kMaxLength)) || number != std::floor(number))
    throw Error(where + ": the key '" + key + "' is " + object.at(key).dump(),
                "a whole number from " + std::to_string(low) + " on");
  return static_cast<int64_t>(number);
}

// Widens the range by all the numbers of lists in lists.
void widen(std::optional<std::pair<double, double>>& range, const json& numbers, const std::string& where, int depth = 0) {
  if (numbers.is_array() && depth < kMaxDepth) {
    for (const auto& item : numbers) widen(range, item, where, depth + 1);
    return;
  }
  if (numbers.is_boolean()) return widen(range, json(numbers.get<bool>() ? 1 : 0), where, depth);
  if (!numbers.is_number()) throw Error(where + ": min and max are no numbers", "make the statistics again");
  const auto number = numbers.get<double>();
  range = range ? std::pair(std::min(range->first, number), std::max(range->second, number)) : std::pair(number, number);
}

void add_statistics(std::vector<LeRobotFeature>& features, const json& statistics, const std::string& where) {
  for (auto& feature : features) {
    if (feature.is_camera() || !statistics.is_object() || !statistics.contains(feature.name)) continue;
    const auto& own = statistics.at(feature.name);
    const auto here = where + " '" + feature.name + "'";
    if (!own.is_object() || !own.contains("min") || !own.contains("max")) continue;
    widen(feature.range, own.at("min"), here);
    widen(feature.range, own.at("max"), here);
  }
}

LeRobotFeature feature_of(const std::string& name, const json& description, const std::string& info) {
  const auto where = info + " feature '" + name + "'";
  LeRobotFeature feature{.name = name, .dtype = value<std::string>(description, "dtype", where)};
  if (name.empty() || name.find('/') != std::string::npos) throw Error(where + ": a name has no /", "rename the feature");
  if (feature.dtype == "language") return feature;
  feature.shape = value<std::vector<int64_t>>(description, "shape", where);
  int64_t values = 1;
  for (const int64_t length : feature.shape) {
    if (length < 1 || length > kMaxLength / values || feature.shape.size() > 5)
      throw Error(where + ": its shape is " + description.at("shape").dump(), "one to five positive numbers");
    values *= length;
  }
  if (!feature.is_camera()) return feature;
  if (feature.shape.size() != 3)
    throw Error(where + ": its shape is " + description.at("shape").dump(), "pictures have height, width and channels");
  const auto names = description.find("names");
  feature.channels_first = names != description.end() && names->is_array() && !names->empty() && names->front().is_string() &&
                           names->front().get<std::string>().starts_with("channel");
  const auto details = description.find("info");
  feature.depth_map =
      details != description.end() && details->is_object() && details->value("video.is_depth_map", json()) == true;
  if (feature.channels_first) std::rotate(feature.shape.begin(), feature.shape.begin() + 1, feature.shape.end());
  return feature;
}

// meta/ of one data set, file by file.
class Reader {
 public:
  explicit Reader(const Storage& storage) : storage_(storage), info_path_(path("meta/info.json")) {}

  LeRobotInfo read() {
    if (!storage_.has_file(info_path_)) throw Error("there is no " + storage_.name_of(info_path_), kFolder);
    info_name_ = storage_.name_of(info_path_);
    info_ = parsed(storage_.read(info_path_, kMaxJson), info_name_);
    result_.version = value<std::string>(info_, "codebase_version", info_name_);
    if (result_.version != "v2.1" && result_.version != "v3.0")
      throw Error(info_name_ + ": the data set has the layout " + result_.version + "; v2.1 and v3.0 can be read",
                  "convert it with the lerobot package");
    result_.fps = value<double>(info_, "fps", info_name_);
    if (!(result_.fps > 0.0 && result_.fps < 1e6)) throw Error(info_name_ + ": fps is " + info_.at("fps").dump(), "above 0");
    const auto features = value<json>(info_, "features", info_name_);
    for (const auto& [name, description] : features.items())
      result_.features.push_back(feature_of(name, description, info_name_));
    if (result_.version == "v2.1") read_v2();
    else read_v3();
    check_episodes();
    return std::move(result_);
  }

 private:
  std::string path(const std::string& relative) const { return storage_.root() + "/" + relative; }

  // A file of the data set by a template of info.json.
  std::string file(const std::string& key, const std::string& video, const std::map<std::string, int64_t>& numbers) const {
    const auto pattern = value<std::string>(info_, key, info_name_);
    return path(filled(pattern, {{"video_key", video}}, numbers, info_name_ + " key '" + key + "'"));
  }

  std::vector<std::string> video_keys() const {
    std::vector<std::string> keys;
    for (const auto& feature : result_.features)
      if (feature.dtype == "video") keys.push_back(feature.name);
    return keys;
  }

  void read_lines(const std::string& name, const std::function<void(const json&, const std::string& where)>& use) const {
    storage_.for_each_line(path(name), kMaxJson, [&](std::string_view line, int64_t number) {
      const auto where = storage_.name_of(path(name)) + " line " + std::to_string(number);
      use(parsed(line, where), where);
    });
  }

  void read_v2() {
    const int64_t chunk_size = count(info_, "chunks_size", info_name_, 1);
    const auto cameras = video_keys();
    read_lines("meta/tasks.jsonl", [&](const json& line, const std::string& where) {
      result_.tasks[count(line, "task_index", where, 0)] = value<std::string>(line, "task", where);
    });
    read_lines("meta/episodes.jsonl", [&](const json& line, const std::string& where) {
      LeRobotEpisode episode{.index = count(line, "episode_index", where, 0), .length = count(line, "length", where, 1)};
      const std::map<std::string, int64_t> numbers = {{"episode_chunk", episode.index / chunk_size},
                                                      {"episode_index", episode.index}};
      episode.data = file("data_path", "", numbers);
      for (const auto& camera : cameras) episode.videos[camera] = {file("video_path", camera, numbers), 0.0};
      result_.episodes.push_back(std::move(episode));
    });
    if (!storage_.has_file(path("meta/episodes_stats.jsonl"))) return;
    read_lines("meta/episodes_stats.jsonl", [&](const json& line, const std::string& where) {
      add_statistics(result_.features, value<json>(line, "stats", where), where);
    });
  }

  void read_v3() {
    read_tasks();
    for (const auto& table : storage_.below("meta/episodes").find(".parquet"))
      read_episodes(*ParquetFile::open(storage_, table));
    // A table has its episodes from the first on, wherever it is among the tables.
    std::map<std::string, int64_t> begin;
    for (const auto& episode : result_.episodes) {
      const auto [found, is_new] = begin.emplace(episode.data, episode.first_row);
      if (!is_new) found->second = std::min(found->second, episode.first_row);
    }
    for (auto& episode : result_.episodes) episode.first_row -= begin.at(episode.data);
    const auto statistics = path("meta/stats.json");
    if (storage_.has_file(statistics)) {
      const auto name = storage_.name_of(statistics);
      add_statistics(result_.features, parsed(storage_.read(statistics, kMaxJson), name), name);
    }
  }

  void read_tasks() {
    const auto table = ParquetFile::open(storage_, path("meta/tasks.parquet"));
    const std::string text = table->has("task") ? "task" : "__index_level_0__";  // pandas' name of an index without one
    const int64_t num_rows = table->num_rows();
    if (num_rows == 0) return;
    const auto tasks = column_values(*table, {"task_index", text}, num_rows);
    if (tasks[1].strings.empty()) throw Error(table->name() + " column '" + text + "' is no text", "make the data set again");
    const auto indices = integers(tasks[0], *table, "task_index");
    for (int64_t i = 0; i < num_rows; ++i)
      result_.tasks[indices[static_cast<size_t>(i)]] = tasks[1].strings[static_cast<size_t>(i)];
  }

  // All rows of small columns: one value a row.
  static std::vector<ColumnValues> column_values(const ParquetFile& table, const std::vector<std::string>& names,
                                                 int64_t rows) {
    for (const auto& name : names)
      if (table.column(name).depth != 0)
        throw Error(table.name() + " column '" + name + "' is " + table.column(name).type, "one value a row");
    return table.rows(names, 0, static_cast<int64_t>(table.row_groups().size()), kRowsAtOnce)->take(rows);
  }

  static std::vector<int64_t> integers(const ColumnValues& values, const ParquetFile& table, const std::string& column) {
    if (!values.numbers.defined() || at::isFloatingType(values.numbers.scalar_type()))
      throw Error(table.name() + " column '" + column + "' is " + table.column(column).type, "whole numbers");
    const auto numbers = values.numbers.to(at::kLong);
    std::vector<int64_t> all(numbers.const_data_ptr<int64_t>(), numbers.const_data_ptr<int64_t>() + numbers.numel());
    for (const int64_t number : all)
      if (number < 0 || number > kMaxLength * 1000)
        throw Error(table.name() + " column '" + column + "' has the value " + std::to_string(number),
                    "make the data set again");
    return all;
  }

  void read_episodes(const ParquetFile& table) {
    const int64_t num_rows = table.num_rows();
    if (num_rows == 0) return;
    const auto whole = [&](const std::string& name) {
      return integers(column_values(table, {name}, num_rows)[0], table, name);
    };
    const auto index = whole("episode_index"), length = whole("length"), from = whole("dataset_from_index");
    const auto chunk = whole("data/chunk_index"), number = whole("data/file_index");
    const size_t first = result_.episodes.size();
    for (size_t i = 0; i < index.size(); ++i) {
      if (length[i] < 1 || length[i] > kMaxLength)
        throw Error(table.name() + ": episode " + std::to_string(index[i]) + " has " + std::to_string(length[i]) + " frames",
                    "make the data set again");
      result_.episodes.push_back(
          {index[i], length[i], file("data_path", "", {{"chunk_index", chunk[i]}, {"file_index", number[i]}}), from[i], {}});
    }
    for (const auto& camera : video_keys()) {
      const auto prefix = "videos/" + camera + "/";
      const auto video_chunk = whole(prefix + "chunk_index"), video_file = whole(prefix + "file_index");
      if (const auto& column = table.column(prefix + "from_timestamp"); !column.is_one_number())
        throw Error(table.name() + " column '" + column.name + "' is " + column.type, "seconds");
      const auto begin = column_values(table, {prefix + "from_timestamp"}, num_rows)[0].numbers.to(at::kDouble);
      for (size_t i = 0; i < index.size(); ++i)
        result_.episodes[first + i].videos[camera] = {
            file("video_path", camera, {{"chunk_index", video_chunk[i]}, {"file_index", video_file[i]}}),
            begin[static_cast<int64_t>(i)].item<double>()};
    }
  }

  void check_episodes() {
    auto& episodes = result_.episodes;
    const int64_t total = count(info_, "total_episodes", info_name_, 0);
    if (total != static_cast<int64_t>(episodes.size()) || episodes.empty())
      throw Error(info_name_ + " says that there are " + std::to_string(total) + " episodes, meta/ describes " +
                      std::to_string(episodes.size()),
                  "the copy may be incomplete");
    std::sort(episodes.begin(), episodes.end(), [](const auto& a, const auto& b) {
      return std::tie(a.data, a.first_row, a.index) < std::tie(b.data, b.first_row, b.index);
    });
    std::set<int64_t> seen;
    for (const auto& episode : episodes)
      if (!seen.insert(episode.index).second)
        throw Error(info_name_ + ": meta/ describes episode " + std::to_string(episode.index) + " twice", "make it again");
  }

  static constexpr int64_t kRowsAtOnce = 1024;

  const Storage& storage_;
  std::string info_path_, info_name_;
  json info_;
  LeRobotInfo result_;
};

}  // namespace

LeRobotInfo LeRobotInfo::read(const Storage& storage) { return Reader(storage).read(); }

std::string filled(const std::string& pattern, const std::map<std::string, std::string>& texts,
                   const std::map<std::string, int64_t>& numbers, const std::string& where) {
  std::string path;
  for (size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] != '{') {
      path += pattern[at];
      continue;
    }
    const auto end = pattern.find('}', at);
    const auto field = pattern.substr(at + 1, end == std::string::npos ? end : end - at - 1);
    const auto name = field.substr(0, field.find(':'));
    const auto format = name.size() == field.size() ? "" : field.substr(name.size() + 1);
    const bool padded = format.size() == 3 && format[0] == '0' && format[1] >= '1' && format[1] <= '9' && format[2] == 'd';
    if (end == std::string::npos || (!format.empty() && !padded) || (!texts.contains(name) && !numbers.contains(name)))
      throw Error(where + ": the path \"" + pattern + "\" has an unknown field {" + field + "}", "make the data set again");
    auto text = texts.contains(name) ? texts.at(name) : std::to_string(numbers.at(name));
    if (padded) text.insert(0, std::max<size_t>(static_cast<size_t>(format[1] - '0'), text.size()) - text.size(), '0');
    path += text;
    at = end;
  }
  const std::filesystem::path parts(path);
  const bool climbs = std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part == ".."; });
  if (path.empty() || parts.is_absolute() || climbs || path.find('\0') != std::string::npos ||
      path.find('\\') != std::string::npos)
    throw Error(where + ": the path \"" + path + "\" leads out of the folder", "the data set cannot be trusted");
  return path;
}

}  // namespace mugato::data

#endif  // MUGATO_ARROW
