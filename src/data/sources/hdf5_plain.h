// Columns that lie in an HDF5 file in one piece, unfiltered, in the numbers of this machine. For a short episode the library
// takes longer to open a dataset than to read it, so whoever reads an episode again does it by these places: without the
// library, and without its lock.
#pragma once

#include "hdf5.h"

#if MUGATO_HDF5
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "column_values.h"
#include "mugato/core/files.h"

namespace mugato::data::hdf5 {

// Where a column lies, in eight bytes.
class Place {
 public:
  enum class Rows : uint8_t { kUnknown, kScattered, kTexts, kBytes, kNumbers };

  Place() = default;  // not looked for yet
  static Place scattered() { return {Rows::kScattered, 0, at::kByte}; }
  Place(Rows rows, uint64_t offset, at::ScalarType scalar)
      : offset_(offset & kMostOffset), rows_(static_cast<uint64_t>(rows)), scalar_(static_cast<uint64_t>(scalar)) {}

  Rows rows() const { return static_cast<Rows>(rows_); }
  bool is_plain() const { return rows() > Rows::kScattered; }
  int64_t offset() const { return static_cast<int64_t>(offset_); }
  at::ScalarType scalar() const { return static_cast<at::ScalarType>(scalar_); }

  static constexpr uint64_t kMostOffset = (uint64_t{1} << 48) - 1;

 private:
  uint64_t offset_ : 48 = 0, rows_ : 8 = 0, scalar_ : 8 = 0;
};

// The part of the file that holds all rows of variable length of a column, in eight bytes.
class Extent {
 public:
  Extent() = default;  // not looked for yet
  static Extent scattered() { return {1, 0}; }
  static Extent between(uint64_t begin, uint64_t end) {
    const bool fits = begin % kUnit == 0 && begin / kUnit <= kMost40 && (end - begin) / kUnit < kMost24;
    return fits ? Extent(begin / kUnit, (end - begin + kUnit - 1) / kUnit) : scattered();
  }

  bool is_unknown() const { return begin_ == 0 && count_ == 0; }
  bool is_one_part() const { return count_ > 0; }
  uint64_t begin() const { return begin_ * kUnit; }
  uint64_t count() const { return count_ * kUnit; }

 private:
  static constexpr uint64_t kUnit = 8;  // objects of the heap begin at its multiples
  static constexpr uint64_t kMost40 = (uint64_t{1} << 40) - 1, kMost24 = (uint64_t{1} << 24) - 1;

  Extent(uint64_t begin, uint64_t count) : begin_(begin & kMost40), count_(count & kMost24) {}

  uint64_t begin_ : 40 = 0, count_ : 24 = 0;
};

// What a row of variable length has in a dataset: where in the file's heap it is.
constexpr int64_t kHeapIdBytes = 16;

// The first byte of a dataset of `num_bytes`, if its values lie in one piece as they were written; none otherwise. The file has
// to begin with the HDF5 data.
std::optional<uint64_t> offset_of_values(const Handle& dataset, const Handle& creation, std::span<const hsize_t> shape,
                                         uint64_t num_bytes);

// Whether addresses within the file are places of 64 bits that count from its first byte.
bool has_plain_addresses(const Handle& file);

// Reads what belongs together, an episode: rows of variable length lie in common collections of the file's global heap.
class PlainReader {
 public:
  explicit PlainReader(const FileReader& file) : file_(file) {}

  // (num_rows, row_shape...), or so many strings. None for rows of variable length that the heap does not hold as it should:
  // the library has words for that. `extent` is what a reading before said of rows of variable length, and becomes what this
  // one saw. Throws Error where the file is shorter than it was.
  std::optional<ColumnValues> read(Place place, int64_t num_rows, at::IntArrayRef row_shape, std::atomic<Extent>& extent);

 private:
  // What a dataset has of a row (HDF5's file format specification, global heap ID): its length, and its object in a collection.
  struct HeapId {
    explicit HeapId(const char* bytes);
    uint32_t length;
    uint64_t collection;  // address
    uint32_t index;
  };

  // A part of the file.
  struct Bytes {
    std::unique_ptr<char[]> data;
    uint64_t begin, count;
    std::string_view from(uint64_t address) const {
      if (address < begin || address - begin > count) return {};
      return {data.get() + (address - begin), count - (address - begin)};
    }
  };

  uint64_t file_size() const { return static_cast<uint64_t>(file_.size()); }
  Bytes read_bytes(uint64_t offset, uint64_t count) const;
  std::optional<ColumnValues> read_rows(Place place, int64_t num_rows, std::atomic<Extent>& extent);
  std::vector<HeapId> heap_ids(Place place, int64_t num_rows) const;
  std::vector<std::string_view> objects_within(Extent extent, std::span<const HeapId> ids);
  std::vector<std::string_view> objects_by_collection(std::span<const HeapId> ids);
  Extent extent_of(std::span<const std::string_view> objects) const;
  void read_collections(std::span<const HeapId> ids);
  std::optional<std::string_view> find(const HeapId& id);
  std::string_view collection_at(uint64_t address);

  const FileReader& file_;
  uint64_t left_ = 0;  // bytes that a file may have us read: twice of what the rows take, and no more than it has
  std::shared_ptr<std::vector<Bytes>> bytes_ = std::make_shared<std::vector<Bytes>>();  // the last: of read_collections()
  std::unordered_map<uint64_t, std::vector<std::string_view>> collections_;             // objects by their numbers
};

}  // namespace mugato::data::hdf5
#endif
