#include "hdf5_dataset.h"

#if MUGATO_HDF5
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "hdf5_chunks.h"
#include "mugato/core/error.h"

namespace mugato::data::hdf5 {
namespace {

// What a dataset may take in memory: deflate, the strongest of the usual filters, makes at most 1032 bytes of one.
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
  if (is_bool(type)) return MemoryType{Handle(H5Tcopy(type), H5Tclose), at::kByte};
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

}  // namespace

DatasetReader::DatasetReader(hid_t parent, const std::string& path, std::string where, uint64_t file_size)
    : where_(std::move(where)), dataset_(open_dataset(parent, path)), file_size_(file_size) {
  if (!dataset_) fail("cannot be read: " + reason(), "metadata.json's spaces and the file have to agree");
  creation_ = creation_of(dataset_);
  if (has_values_elsewhere(creation_)) fail("has its values in another file", "such data sets are not to be trusted");
  type_ = type_of(dataset_);
  space_ = space_of(dataset_);
  const int rank = H5Sget_simple_extent_ndims(space_.get());
  if (rank < 1) fail("has no axis of timesteps", "was the file written by Minari?");
  shape_.resize(static_cast<size_t>(rank));
  H5Sget_simple_extent_dims(space_.get(), shape_.data(), nullptr);
}

ColumnValues DatasetReader::read() const {
  check_size();
  if (H5Tget_class(type_.get()) == H5T_STRING) return H5Tis_variable_str(type_.get()) > 0 ? texts() : fixed_texts();
  if (H5Tget_class(type_.get()) == H5T_VLEN) return byte_rows();
  return numbers();
}

Place DatasetReader::place(at::IntArrayRef row_shape) const {
  check_size();
  const bool is_text = H5Tget_class(type_.get()) == H5T_STRING && H5Tis_variable_str(type_.get()) > 0;
  if (is_text || has_byte_rows())
    return shape_.size() == 1 ? piece(is_text ? Place::Rows::kTexts : Place::Rows::kBytes, kHeapIdBytes) : Place::scattered();
  const auto memory = memory_type_of(type_.get());
  const bool is_same = memory && !is_bool(type_.get()) && H5Tequal(type_.get(), memory->type.get()) > 0 &&
                       std::equal(shape_.begin() + 1, shape_.end(), row_shape.begin(), row_shape.end(),
                                  [](hsize_t a, int64_t b) { return std::cmp_equal(a, b); });
  return is_same ? piece(Place::Rows::kNumbers, H5Tget_size(type_.get()), memory->scalar) : Place::scattered();
}

Place DatasetReader::piece(Place::Rows rows, uint64_t value_bytes, at::ScalarType scalar) const {
  uint64_t bytes = value_bytes;
  for (const hsize_t size : shape_) bytes *= size;  // less than 2^64, by check_size()
  const auto offset = offset_of_values(dataset_, creation_, shape_, bytes);
  const bool is_within = offset && *offset <= file_size_ && bytes <= file_size_ - *offset;
  return is_within ? Place(rows, *offset, scalar) : Place::scattered();
}

void DatasetReader::fail(const std::string& what, const std::string& hint) const { throw Error(where_ + " " + what, hint); }

void DatasetReader::fail_to_read() const { fail("cannot be read: " + reason(), "was the file copied whole? copy it again"); }

// By the part of the file that the dataset has. Rows of different lengths have theirs elsewhere.
uint64_t DatasetReader::most_bytes() const {
  return std::min<uint64_t>(H5Dget_storage_size(dataset_.get()), file_size_) * kMostExpansion + kAlwaysAllowed;
}

void DatasetReader::check_size() const {
  uint64_t bytes = H5Tget_size(type_.get());
  for (const hsize_t size : shape_) {
    if (size > 0 && bytes > kAlwaysAllowed / size && bytes > most_bytes() / size)
      fail("claims more values than its part of the file can hold", "was the file copied whole? copy it again");
    bytes *= size;
  }
}

ColumnValues DatasetReader::numbers() const {
  const auto memory = memory_type_of(type_.get());
  if (!memory) fail("has values of a type that is neither a number nor text", "was the file written by Minari?");
  auto values = at::empty(std::vector<int64_t>(shape_.begin(), shape_.end()), memory->scalar);
  if (values.numel() > 0 && !(memory->scalar == at::kByte &&
                              read_byte_chunks(dataset_, creation_, shape_, most_bytes(), values.mutable_data_ptr<uint8_t>())))
    read_into(memory->type.get(), H5P_DEFAULT, values.data_ptr());
  return {is_bool(type_.get()) ? values.ne(0) : values, {}};
}

ColumnValues DatasetReader::texts() const {
  const Handle memory(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(memory.get(), H5T_VARIABLE);
  H5Tset_cset(memory.get(), H5Tget_cset(type_.get()));
  return variable_rows<char*>(memory.get(), [](const char* text) { return std::string(text ? text : ""); });
}

ColumnValues DatasetReader::fixed_texts() const {
  const size_t size = H5Tget_size(type_.get());
  check_one_axis();
  std::string bytes(size * shape_[0], '\0');
  read_into(type_.get(), H5P_DEFAULT, bytes.data());
  ColumnValues column;
  for (size_t at = 0; at < bytes.size(); at += size)
    column.strings.push_back(bytes.substr(at, std::min(size, bytes.find('\0', at) - at)));
  return column;
}

bool DatasetReader::has_byte_rows() const {
  if (H5Tget_class(type_.get()) != H5T_VLEN) return false;
  const Handle base(H5Tget_super(type_.get()), H5Tclose);
  return H5Tget_class(base.get()) == H5T_INTEGER && H5Tget_size(base.get()) == 1;
}

ColumnValues DatasetReader::byte_rows() const {
  if (!has_byte_rows()) fail("has rows of different lengths that are not bytes", "JPEGs are rows of uint8");
  return variable_rows<hvl_t>(
      type_.get(), [](const hvl_t& row) { return std::string(static_cast<const char*>(row.p), row.p ? row.len : 0); });
}

template <class Row, class StringOf>
ColumnValues DatasetReader::variable_rows(hid_t memory, const StringOf& string_of) const {
  check_one_axis();
  RowMemory row_memory(file_size_ + kAlwaysAllowed);
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

void DatasetReader::check_one_axis() const {
  if (shape_.size() != 1) fail("has several texts or pictures a timestep", "was the file written by Minari?");
}

void DatasetReader::read_into(hid_t memory, hid_t transfer, void* out) const {
  if (H5Dread(dataset_.get(), memory, H5S_ALL, H5S_ALL, transfer, out) < 0) fail_to_read();
}

}  // namespace mugato::data::hdf5
#endif
