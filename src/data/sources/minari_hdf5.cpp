#include <algorithm>
#include <cstdlib>
#include <utility>

#include "hdf5.h"
#include "hdf5_chunks.h"
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

// What a data set may take in memory: deflate, the strongest of the usual filters, makes at most 1032 bytes of one.
constexpr uint64_t kMostExpansion = 1032;
constexpr uint64_t kAlwaysAllowed = 1 << 20;

// IEEE half precision, for which the library has no name.
Handle half_type() {
  Handle type(H5Tcopy(H5T_NATIVE_FLOAT), H5Tclose);
  H5Tset_fields(type.get(), 15, 10, 5, 0, 10);
  H5Tset_size(type.get(), 2);
  H5Tset_ebias(type.get(), 15);
  return type;
}

struct MemoryType {
  Handle type;
  at::ScalarType scalar;
};

MemoryType same(hid_t native, at::ScalarType scalar) { return {Handle(H5Tcopy(native), H5Tclose), scalar}; }

// The type in memory that holds every number of a type on disk, without a loss; none for a type that is no number.
std::optional<MemoryType> memory_type_of(hid_t type) {
  const size_t size = H5Tget_size(type);
  if (hdf5::is_bool(type)) return MemoryType{Handle(H5Tcopy(type), H5Tclose), at::kByte};
  if (H5Tget_class(type) == H5T_FLOAT) {
    if (size == 2) return MemoryType{half_type(), at::kHalf};
    if (size == 4) return same(H5T_NATIVE_FLOAT, at::kFloat);
    if (size == 8) return same(H5T_NATIVE_DOUBLE, at::kDouble);
  }
  if (H5Tget_class(type) != H5T_INTEGER) return std::nullopt;
  const bool is_signed = H5Tget_sign(type) != H5T_SGN_NONE;
  if (size == 1) return is_signed ? same(H5T_NATIVE_INT8, at::kChar) : same(H5T_NATIVE_UINT8, at::kByte);
  if (size == 2) return is_signed ? same(H5T_NATIVE_INT16, at::kShort) : same(H5T_NATIVE_UINT16, at::kUInt16);
  if (size == 4) return is_signed ? same(H5T_NATIVE_INT32, at::kInt) : same(H5T_NATIVE_UINT32, at::kUInt32);
  if (size == 8) return is_signed ? same(H5T_NATIVE_INT64, at::kLong) : same(H5T_NATIVE_UINT64, at::kUInt64);
  return std::nullopt;
}

// Where the library puts rows of different lengths, up to a limit: one after the other into blocks that are released together.
class RowMemory {
 public:
  explicit RowMemory(uint64_t most_bytes) : left_(most_bytes) {}
  ~RowMemory() {
    for (char* block : blocks_) std::free(block);
  }
  RowMemory(const RowMemory&) = delete;
  RowMemory& operator=(const RowMemory&) = delete;

  static void* allocate(size_t size, void* memory) { return static_cast<RowMemory*>(memory)->allocate(size); }
  static void release(void*, void*) {}

 private:
  static constexpr size_t kBlock = 1 << 16;

  void* allocate(size_t size) {
    if (size > left_ || (size > free_ && !add_block(std::max(size, kBlock)))) return nullptr;
    left_ -= size;
    free_ -= size;
    return std::exchange(next_, next_ + size);
  }

  bool add_block(size_t size) {
    next_ = static_cast<char*>(std::malloc(size));
    free_ = next_ ? size : 0;
    if (next_) blocks_.push_back(next_);
    return next_;
  }

  uint64_t left_;
  std::vector<char*> blocks_;
  char* next_ = nullptr;
  size_t free_ = 0;
};

// One dataset of an episode.
class DatasetReader {
 public:
  DatasetReader(hid_t episode, const std::string& path, std::string where, uint64_t file_size)
      : where_(std::move(where)), dataset_(hdf5::open_dataset(episode, path)) {
    if (!dataset_) fail("cannot be read: " + hdf5::reason(), "metadata.json's spaces and the file have to agree");
    creation_ = hdf5::creation_of(dataset_);
    if (hdf5::has_values_elsewhere(creation_)) fail("has its values in another file", "such data sets are not to be trusted");
    type_ = hdf5::type_of(dataset_);
    space_ = hdf5::space_of(dataset_);
    const int rank = H5Sget_simple_extent_ndims(space_.get());
    if (rank < 1) fail("has no axis of timesteps", "was the file written by Minari?");
    shape_.resize(static_cast<size_t>(rank));
    H5Sget_simple_extent_dims(space_.get(), shape_.data(), nullptr);
    most_bytes_ = std::min<uint64_t>(H5Dget_storage_size(dataset_.get()), file_size) * kMostExpansion + kAlwaysAllowed;
  }

  int64_t num_rows() const { return static_cast<int64_t>(std::min<hsize_t>(shape_[0], INT64_MAX)); }

  ColumnValues read() const {
    check_size();
    if (H5Tget_class(type_.get()) == H5T_STRING) return H5Tis_variable_str(type_.get()) > 0 ? texts() : fixed_texts();
    if (H5Tget_class(type_.get()) == H5T_VLEN) return byte_rows();
    return numbers();
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& hint) const { throw Error(where_ + " " + what, hint); }
  [[noreturn]] void fail_to_read() const {
    fail("cannot be read: " + hdf5::reason(), "was the file copied whole? copy it again");
  }

  void check_size() const {
    uint64_t bytes = H5Tget_size(type_.get());
    for (const hsize_t size : shape_) {
      if (size > 0 && bytes > most_bytes_ / size)
        fail("claims more values than its part of the file can hold", "was the file copied whole? copy it again");
      bytes *= size;
    }
  }

  ColumnValues numbers() const {
    const auto memory = memory_type_of(type_.get());
    if (!memory) fail("has values of a type that is neither a number nor text", "was the file written by Minari?");
    auto values = at::empty(std::vector<int64_t>(shape_.begin(), shape_.end()), memory->scalar);
    if (values.numel() > 0 && !(memory->scalar == at::kByte && hdf5::read_byte_chunks(dataset_, creation_, shape_, most_bytes_,
                                                                                      values.mutable_data_ptr<uint8_t>())))
      read_into(memory->type.get(), H5P_DEFAULT, values.data_ptr());
    return {hdf5::is_bool(type_.get()) ? values.ne(0) : values, {}};
  }

  ColumnValues texts() const {
    const Handle memory(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(memory.get(), H5T_VARIABLE);
    H5Tset_cset(memory.get(), H5Tget_cset(type_.get()));
    return variable_rows<char*>(memory.get(), [](const char* text) { return std::string(text ? text : ""); });
  }

  ColumnValues fixed_texts() const {
    const size_t size = H5Tget_size(type_.get());
    check_one_axis();
    std::string bytes(size * shape_[0], '\0');
    read_into(type_.get(), H5P_DEFAULT, bytes.data());
    ColumnValues column;
    for (size_t at = 0; at < bytes.size(); at += size)
      column.strings.push_back(bytes.substr(at, std::min(size, bytes.find('\0', at) - at)));
    return column;
  }

  ColumnValues byte_rows() const {
    const Handle base(H5Tget_super(type_.get()), H5Tclose);
    if (H5Tget_class(base.get()) != H5T_INTEGER || H5Tget_size(base.get()) != 1)
      fail("has rows of different lengths that are not bytes", "JPEGs are rows of uint8");
    return variable_rows<hvl_t>(
        type_.get(), [](const hvl_t& row) { return std::string(static_cast<const char*>(row.p), row.p ? row.len : 0); });
  }

  template <class Row, class StringOf>
  ColumnValues variable_rows(hid_t memory, const StringOf& string_of) const {
    check_one_axis();
    RowMemory row_memory(most_bytes_);
    static const hid_t transfer = H5Pcreate(H5P_DATASET_XFER);  // the library's lock is held
    H5Pset_vlen_mem_manager(transfer, RowMemory::allocate, &row_memory, RowMemory::release, nullptr);
    // By default the library clears a megabyte for every read.
    H5Pset_buffer(transfer, std::clamp<size_t>(shape_[0] * sizeof(hvl_t), sizeof(hvl_t), 1 << 20), nullptr, nullptr);
    std::vector<Row> rows(shape_[0], Row{});
    read_into(memory, transfer, rows.data());
    ColumnValues column;
    column.strings.reserve(rows.size());
    for (const auto& row : rows) column.strings.push_back(string_of(row));
    return column;
  }

  void check_one_axis() const {
    if (shape_.size() != 1) fail("has several texts or pictures a timestep", "was the file written by Minari?");
  }

  void read_into(hid_t memory, hid_t transfer, void* out) const {
    if (H5Dread(dataset_.get(), memory, H5S_ALL, H5S_ALL, transfer, out) < 0) fail_to_read();
  }

  std::string where_;
  Handle dataset_, creation_, type_, space_;
  std::vector<hsize_t> shape_;
  uint64_t most_bytes_ = 0;
};

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
  explicit Hdf5Storage(const std::filesystem::path& data) : path_((data / kFile).string()) {
    const hdf5::Lock lock;
    file_ = hdf5::open_file(path_);
    file_size_ = std::filesystem::file_size(path_);
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
    const hdf5::Lock lock;
    const auto group = open_episode(episode);
    std::vector<ColumnValues> columns;
    for (const auto& leaf : leaves) {
      std::string path = leaf.top;
      for (const auto& key : leaf.path) path += (key.of_tuple ? "/_index_" : "/") + key.name;
      const DatasetReader reader(group.get(), path, name(episode) + ": '" + leaf.name() + "'", file_size_);
      check_minari_rows(name(episode), leaf, reader.num_rows(), num_steps(episode));
      columns.push_back(reader.read());
    }
    return columns;
  }

 private:
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
  uint64_t file_size_ = 0;
  Handle file_;
  std::vector<int64_t> steps_;
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
