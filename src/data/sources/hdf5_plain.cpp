#include "hdf5_plain.h"

#if MUGATO_HDF5
#include <algorithm>
#include <cstring>

namespace mugato::data::hdf5 {
namespace {

using Rows = Place::Rows;

template <class Number>
Number number_at(const char* bytes) {
  Number number;
  std::memcpy(&number, bytes, sizeof number);
  return number;
}

constexpr uint64_t kUsualBytes = 65536;  // of a collection
constexpr uint64_t kHeaderBytes = 16;    // of a collection, and of an object in it
constexpr uint32_t kMostLength = 16 << 20;

// Of a collection's header ("GCOL", version 1) its length in bytes; 0 for what is none.
uint64_t collection_length(const char* header) {
  return std::memcmp(header, "GCOL\1", 5) == 0 ? number_at<uint64_t>(header + 8) : 0;
}

// The objects by their numbers, as far as they follow each other. Of two with one number it is the first.
std::vector<std::string_view> objects_of(std::string_view bytes) {
  std::vector<std::string_view> objects;
  while (bytes.size() >= kHeaderBytes) {
    const auto index = number_at<uint16_t>(&bytes[0]);
    const auto reserved = number_at<uint32_t>(&bytes[4]);
    const auto length = number_at<uint64_t>(&bytes[8]);
    bytes.remove_prefix(kHeaderBytes);
    if (index == 0 || reserved != 0 || length > bytes.size()) break;  // the rest is free, or no part of the heap
    if (index >= objects.size()) objects.resize(index + size_t{1});
    if (!objects[index].data()) objects[index] = bytes.substr(0, length);
    bytes.remove_prefix(std::min<uint64_t>((length + 7) / 8 * 8, bytes.size()));
  }
  return objects;
}

}  // namespace

PlainReader::HeapId::HeapId(const char* bytes)
    : length(number_at<uint32_t>(bytes)), collection(number_at<uint64_t>(bytes + 4)), index(number_at<uint32_t>(bytes + 12)) {}

bool has_plain_addresses(const Handle& file) {
  const Handle creation(H5Fget_create_plist(file.get()), H5Pclose);
  size_t address_bytes = 0, length_bytes = 0;
  hsize_t first = 1;
  return H5Pget_sizes(creation.get(), &address_bytes, &length_bytes) >= 0 && address_bytes == 8 && length_bytes == 8 &&
         H5Pget_userblock(creation.get(), &first) >= 0 && first == 0;
}

std::optional<uint64_t> offset_of_values(const Handle& dataset, const Handle& creation, std::span<const hsize_t> shape,
                                         uint64_t num_bytes) {
  haddr_t address = HADDR_UNDEF;
  hsize_t stored = 0;
  if (H5Pget_layout(creation.get()) == H5D_CONTIGUOUS) {
    address = H5Dget_offset(dataset.get());
    stored = H5Dget_storage_size(dataset.get());
  } else if (H5Pget_layout(creation.get()) == H5D_CHUNKED && H5Pget_nfilters(creation.get()) == 0) {
    std::vector<hsize_t> chunk(shape.size());
    const std::vector<hsize_t> first(shape.size(), 0);
    unsigned filters = 0;
    if (H5Pget_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data()) != static_cast<int>(chunk.size()) ||
        chunk[0] < shape[0] || !std::equal(shape.begin() + 1, shape.end(), chunk.begin() + 1) ||
        H5Dget_chunk_info_by_coord(dataset.get(), first.data(), &filters, &address, &stored) < 0 || filters != 0)
      return std::nullopt;
  }
  if (address == HADDR_UNDEF || address > Place::kMostOffset || stored < num_bytes) return std::nullopt;
  return address;
}

PlainReader::Bytes PlainReader::read_bytes(uint64_t offset, uint64_t count) const {
  Bytes bytes{std::make_unique_for_overwrite<char[]>(count), offset, count};
  file_.read(bytes.data.get(), static_cast<int64_t>(offset), static_cast<int64_t>(count));
  return bytes;
}

std::optional<ColumnValues> PlainReader::read(Place place, int64_t num_rows, at::IntArrayRef row_shape,
                                              std::atomic<Extent>& extent) {
  if (place.rows() != Rows::kNumbers) return read_rows(place, num_rows, extent);
  std::vector<int64_t> shape{num_rows};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  auto values = at::empty(shape, place.scalar());
  file_.read(values.mutable_data_ptr(), place.offset(), static_cast<int64_t>(values.nbytes()));
  return ColumnValues{std::move(values), {}};
}

std::optional<ColumnValues> PlainReader::read_rows(Place place, int64_t num_rows, std::atomic<Extent>& extent) {
  const auto ids = heap_ids(place, num_rows);
  auto objects = objects_within(extent, ids);
  if (objects.empty()) {
    objects = objects_by_collection(ids);
    if (objects.empty()) return std::nullopt;
    extent = extent.load().is_unknown() ? extent_of(objects) : Extent::scattered();
  }
  if (place.rows() == Rows::kBytes) return ColumnValues{{}, {}, std::move(objects), bytes_};
  ColumnValues column;
  column.strings.reserve(objects.size());
  for (const auto& text : objects) column.strings.emplace_back(text.substr(0, text.find('\0')));
  return column;
}

std::vector<PlainReader::HeapId> PlainReader::heap_ids(Place place, int64_t num_rows) const {
  const auto bytes = read_bytes(static_cast<uint64_t>(place.offset()), static_cast<uint64_t>(num_rows * kHeapIdBytes));
  std::vector<HeapId> ids;
  ids.reserve(static_cast<size_t>(num_rows));
  for (int64_t row = 0; row < num_rows; ++row) ids.emplace_back(bytes.data.get() + row * kHeapIdBytes);
  return ids;
}

// By one read; none where the heap is no longer what it was.
std::vector<std::string_view> PlainReader::objects_within(Extent extent, std::span<const HeapId> ids) {
  if (!extent.is_one_part() || extent.begin() >= file_size()) return {};
  bytes_->push_back(read_bytes(extent.begin(), std::min(extent.count(), file_size() - extent.begin())));
  const auto& part = bytes_->back();
  // What goes before the extent's first object is not there, so these are no collections for other columns.
  std::unordered_map<uint64_t, std::vector<std::string_view>> collections;
  std::vector<std::string_view> objects;
  objects.reserve(ids.size());
  for (const auto& id : ids) {
    auto it = collections.find(id.collection);
    if (it == collections.end()) {
      const auto first = std::max(id.collection + std::min(kHeaderBytes, UINT64_MAX - id.collection), part.begin);
      it = collections.emplace(id.collection, objects_of(part.from(first))).first;
    }
    if (id.length == 0 || id.index >= it->second.size() || it->second[id.index].size() < id.length) return {};
    objects.push_back(it->second[id.index].substr(0, id.length));
  }
  return objects;
}

// None where the heap does not hold every row.
std::vector<std::string_view> PlainReader::objects_by_collection(std::span<const HeapId> ids) {
  read_collections(ids);
  std::vector<std::string_view> objects;
  objects.reserve(ids.size());
  auto left = file_.size();
  for (const auto& id : ids) {
    const auto row = id.length > 0 ? find(id) : std::string_view();
    // Rows may lie on one another, but who wrote them would hardly have had them so.
    if (!row || (left -= id.length) < 0) return {};
    objects.push_back(*row);
  }
  return objects;
}

// Scattered where not all of them were read at once, or other things lie between them.
Extent PlainReader::extent_of(std::span<const std::string_view> objects) const {
  if (bytes_->empty()) return Extent::scattered();  // all are empty: nothing had to be read
  const auto& all = bytes_->back();
  const auto address = [](const char* byte) { return reinterpret_cast<uintptr_t>(byte); };
  uint64_t begin = UINT64_MAX, end = 0, sum = 0;
  for (const auto& object : objects) {
    const uint64_t at = address(object.data()) - address(all.data.get());  // huge for one before
    if (at < kHeaderBytes || at > all.count) return Extent::scattered();
    begin = std::min(begin, at - kHeaderBytes);
    end = std::max(end, at + object.size());
    sum += object.size() + kHeaderBytes;
  }
  return end - begin <= 2 * sum ? Extent::between(all.begin + begin, all.begin + end) : Extent::scattered();
}

// Collections that were written one after the other are read at once, as far as they are not known.
void PlainReader::read_collections(std::span<const HeapId> ids) {
  uint64_t lowest = UINT64_MAX, highest = 0, last = UINT64_MAX, usual = 0;
  for (const auto& id : ids) {
    if (id.length == 0) continue;
    usual += 2 * std::min(id.length, kMostLength);
    if (id.collection == std::exchange(last, id.collection) || collections_.contains(id.collection)) continue;
    usual += 2 * kUsualBytes;
    lowest = std::min(lowest, id.collection);
    highest = std::max(highest, id.collection);
  }
  left_ += std::min(usual, file_size() - std::min(left_, file_size()));
  if (highest < lowest || highest >= file_size() || highest - lowest > left_) return;
  bytes_->push_back(read_bytes(lowest, std::min(highest + kUsualBytes, file_size()) - lowest));
}

std::optional<std::string_view> PlainReader::find(const HeapId& id) {
  auto it = collections_.find(id.collection);
  if (it == collections_.end()) {
    const auto collection = collection_at(id.collection);
    it = collections_.emplace(id.collection, objects_of(collection.substr(std::min(kHeaderBytes, collection.size())))).first;
  }
  const auto& objects = it->second;
  if (id.index >= objects.size() || objects[id.index].size() < id.length) return std::nullopt;
  return objects[id.index].substr(0, id.length);
}

std::string_view PlainReader::collection_at(uint64_t address) {
  if (address > file_size() || file_size() - address < kHeaderBytes) return {};
  if (!bytes_->empty()) {
    const auto rest = bytes_->back().from(address);
    if (rest.size() >= kHeaderBytes && collection_length(rest.data()) <= rest.size())
      return rest.substr(0, collection_length(rest.data()));
  }
  const uint64_t length = collection_length(read_bytes(address, kHeaderBytes).data.get());
  if (length > file_size() - address || length > left_) return {};
  left_ -= length;
  // Before the last, which was read for rows that are yet to come.
  return bytes_->insert(bytes_->begin(), read_bytes(address, length))->from(address);
}

}  // namespace mugato::data::hdf5
#endif
