#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "hdf5_dataset.h"
#include "minari_storage.h"
#include "mugato/core/error.h"

#if !MUGATO_HDF5
namespace mugato::data {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& data) {
  throw Error("'" + data.string() + "' holds HDF5, and this mugato was built without it",
              "install libhdf5-dev (tools/setup does) and build again");
}

}  // namespace

std::unique_ptr<MinariStorage> open_minari_hdf5(const std::filesystem::path& data) { refuse(data); }
nlohmann::json minari_root_attributes(const std::filesystem::path& data) { refuse(data); }

}  // namespace mugato::data
#else
namespace mugato::data {
namespace {

using hdf5::Handle;
using nlohmann::json;

constexpr const char* kFile = "main_data.hdf5";
constexpr const char* kEpisode = "episode_";

// The numbers of the groups "episode_N", sorted.
std::vector<int64_t> episode_numbers(hid_t file, const std::string& path) {
  std::vector<int64_t> numbers;
  const herr_t status = H5Literate(
      file, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr,
      [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
        const std::string text = name, prefix = kEpisode;
        if (!text.starts_with(prefix) || text.size() > prefix.size() + 18) return 0;
        const std::string number = text.substr(prefix.size());
        if (!number.empty() && number.find_first_not_of("0123456789") == std::string::npos)
          static_cast<std::vector<int64_t>*>(out)->push_back(std::stoll(number));
        return 0;
      },
      &numbers);
  if (status < 0) throw Error("'" + path + "' cannot be listed: " + hdf5::reason(), "was the file copied whole? copy it again");
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

class Hdf5Storage : public MinariStorage {
 public:
  explicit Hdf5Storage(const std::filesystem::path& data) : path_((data / kFile).string()), file_(open(path_)), bytes_(path_) {
    const hdf5::Lock lock;
    has_plain_addresses_ = hdf5::has_plain_addresses(file_);
    const auto numbers = episode_numbers(file_.get(), path_);
    check_minari_numbers(numbers, path_, kEpisode);
    for (const int64_t number : numbers) steps_.push_back(read_num_steps(number));
  }

  ~Hdf5Storage() override {
    const hdf5::Lock lock;
    file_ = {};
  }

  int64_t num_episodes() const override { return static_cast<int64_t>(steps_.size()); }
  int64_t num_steps(int64_t episode) const override { return steps_[static_cast<size_t>(episode)]; }
  std::string name(int64_t episode) const override { return path_ + " episode " + std::to_string(episode); }

  json attributes(int64_t episode) const override {
    const hdf5::Lock lock;
    const auto group = open_episode(episode);
    return hdf5::attributes_of(group.get(), name(episode));
  }

  std::vector<ColumnValues> read(int64_t episode, std::span<const MinariLeaf> leaves) const override {
    std::vector<std::optional<ColumnValues>> columns;
    hdf5::PlainReader reader(bytes_);
    for (const auto& leaf : leaves) columns.push_back(read_plain(reader, episode, leaf, seen(leaf)[index_of(episode)]));
    if (std::find(columns.begin(), columns.end(), std::nullopt) != columns.end())
      read_missing(reader, episode, leaves, columns);
    std::vector<ColumnValues> result;
    for (auto& column : columns) result.push_back(std::move(*column));
    return result;
  }

 private:
  // What the first reading of a leaf found out for the next.
  struct Seen {
    std::atomic<hdf5::Place> place;
    std::atomic<hdf5::Extent> extent;
  };
  using SeenEpisodes = std::vector<Seen>;

  struct ByPath {
    bool operator()(const MinariLeaf& a, const MinariLeaf& b) const {
      return std::tie(a.top, a.path) < std::tie(b.top, b.path);
    }
  };

  static Handle open(const std::string& path) {
    const hdf5::Lock lock;
    return hdf5::open_file(path);
  }

  static size_t index_of(int64_t episode) { return static_cast<size_t>(episode); }

  SeenEpisodes& seen(const MinariLeaf& leaf) const {
    const std::lock_guard lock(seen_mutex_);
    return seen_.try_emplace(leaf, steps_.size()).first->second;
  }

  std::optional<ColumnValues> read_plain(hdf5::PlainReader& reader, int64_t episode, const MinariLeaf& leaf, Seen& seen) const {
    const auto place = seen.place.load();
    if (!place.is_plain()) return std::nullopt;
    return reader.read(place, leaf.num_rows(num_steps(episode)), leaf.shape, seen.extent);
  }

  void read_missing(hdf5::PlainReader& plain, int64_t episode, std::span<const MinariLeaf> leaves,
                    std::span<std::optional<ColumnValues>> columns) const {
    const hdf5::Lock lock;
    const auto group = open_episode(episode);
    for (size_t i = 0; i < leaves.size(); ++i)
      if (!columns[i]) columns[i] = locate(plain, episode, group, leaves[i], seen(leaves[i])[index_of(episode)]);
  }

  // By the library; from the second time on, a leaf that lies in one piece does not come here.
  ColumnValues locate(hdf5::PlainReader& plain, int64_t episode, const Handle& group, const MinariLeaf& leaf,
                      Seen& seen) const {
    std::string path = leaf.top;
    for (const auto& key : leaf.path) path += (key.of_tuple ? "/_index_" : "/") + key.name;
    const hdf5::DatasetReader reader(group.get(), path, name(episode) + ": '" + leaf.name() + "'",
                                     static_cast<uint64_t>(bytes_.size()));
    check_minari_rows(name(episode), leaf, reader.num_rows(), num_steps(episode));
    if (has_plain_addresses_ && seen.place.load().rows() == hdf5::Place::Rows::kUnknown) {
      seen.place = reader.place(leaf.shape);
      if (auto column = read_plain(plain, episode, leaf, seen)) return std::move(*column);
    }
    return reader.read();
  }

  Handle open_episode(int64_t episode) const {
    auto group = hdf5::open_group(file_.get(), kEpisode + std::to_string(episode));
    if (!group) throw Error(name(episode) + " cannot be opened: " + hdf5::reason(), "was the file copied whole? copy it again");
    return group;
  }

  int64_t read_num_steps(int64_t episode) const {
    const std::string group = kEpisode + std::to_string(episode);
    const auto attribute = hdf5::open_attribute(file_.get(), group, "total_steps");
    const Handle space(attribute ? H5Aget_space(attribute.get()) : -1, H5Sclose);
    int64_t steps = 0;
    if (!space || H5Sget_simple_extent_npoints(space.get()) != 1 || H5Aread(attribute.get(), H5T_NATIVE_INT64, &steps) < 0)
      throw Error(name(episode) + ": its attribute 'total_steps' cannot be read: " + hdf5::reason(),
                  "was the file written by Minari? copy it again");
    if (steps < 1 || steps == INT64_MAX)
      throw Error(name(episode) + ": its attribute 'total_steps' is " + std::to_string(steps), "an episode has a timestep");
    return steps;
  }

  std::string path_;
  Handle file_;
  FileReader bytes_;  // the same file
  bool has_plain_addresses_ = false;
  std::vector<int64_t> steps_;
  mutable std::mutex seen_mutex_;
  mutable std::map<MinariLeaf, SeenEpisodes, ByPath> seen_;
};

}  // namespace

std::unique_ptr<MinariStorage> open_minari_hdf5(const std::filesystem::path& data) {
  return std::make_unique<Hdf5Storage>(data);
}

json minari_root_attributes(const std::filesystem::path& data) {
  const hdf5::Lock lock;
  const auto file = hdf5::open_file(data / kFile);
  return hdf5::attributes_of(file.get(), (data / kFile).string());
}

}  // namespace mugato::data
#endif
