#include "hdf5_chunks.h"

#if MUGATO_HDF5
#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

namespace mugato::data::hdf5 {
namespace {

using Sizes = std::vector<hsize_t>;

std::optional<Sizes> chunk_shape(const Handle& creation, size_t rank) {
  Sizes chunk(rank);
  if (H5Pget_layout(creation.get()) != H5D_CHUNKED || H5Pget_nfilters(creation.get()) != 0 ||
      H5Pget_chunk(creation.get(), static_cast<int>(rank), chunk.data()) != static_cast<int>(rank))
    return std::nullopt;
  return chunk;
}

// Bytes between neighbours along each axis.
Sizes strides_of(std::span<const hsize_t> shape) {
  Sizes strides(shape.size(), 1);
  for (size_t axis = shape.size() - 1; axis-- > 0;) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}

template <size_t kLength>
void copy_runs(const uint8_t* from, size_t from_stride, uint8_t* to, size_t to_stride, size_t count) {
  for (size_t i = 0; i < count; ++i) std::memcpy(to + i * to_stride, from + i * from_stride, kLength);
}

// One chunk after the other into its place in the whole.
class ChunkCopier {
 public:
  ChunkCopier(std::span<const hsize_t> shape, std::span<const hsize_t> chunk, uint8_t* whole)
      : shape_(shape), chunk_(chunk), strides_(strides_of(shape)), chunk_strides_(strides_of(chunk)), whole_(whole) {}

  void copy(const uint8_t* bytes, const Sizes& offset) {
    uint8_t* to = whole_;
    extent_.assign(chunk_.begin(), chunk_.end());
    for (size_t axis = 0; axis < shape_.size(); ++axis) {
      extent_[axis] = std::min(chunk_[axis], shape_[axis] - offset[axis]);
      to += offset[axis] * strides_[axis];
    }
    copy_axis(0, bytes, to);
  }

 private:
  void copy_axis(size_t axis, const uint8_t* from, uint8_t* to) const {
    if (axis + 2 == shape_.size()) return copy_plane(from, to);
    for (hsize_t i = 0; i < extent_[axis]; ++i) copy_axis(axis + 1, from + i * chunk_strides_[axis], to + i * strides_[axis]);
  }

  void copy_plane(const uint8_t* from, uint8_t* to) const {
    const size_t count = extent_[extent_.size() - 2], length = extent_.back();
    const size_t from_stride = chunk_.back(), to_stride = shape_.back();
    if (length == 1) return copy_runs<1>(from, from_stride, to, to_stride, count);
    if (length == 2) return copy_runs<2>(from, from_stride, to, to_stride, count);
    for (size_t i = 0; i < count; ++i) std::memcpy(to + i * to_stride, from + i * from_stride, length);
  }

  std::span<const hsize_t> shape_, chunk_;
  Sizes strides_, chunk_strides_, extent_;
  uint8_t* whole_;
};

// The next place of a chunk in the order of the file's axes; false after the last.
bool advance(Sizes& offset, std::span<const hsize_t> shape, std::span<const hsize_t> chunk) {
  for (size_t axis = offset.size(); axis-- > 0;) {
    if (chunk[axis] < shape[axis] - offset[axis]) {
      offset[axis] += chunk[axis];
      return true;
    }
    offset[axis] = 0;
  }
  return false;
}

}  // namespace

bool read_byte_chunks(const Handle& dataset, const Handle& creation, std::span<const hsize_t> shape, uint64_t most_bytes,
                      uint8_t* out) {
  const auto chunk = chunk_shape(creation, shape.size());
  // Of chunks of whole timesteps the library copies each at once.
  if (!chunk || std::equal(shape.begin() + 1, shape.end(), chunk->begin() + 1)) return false;
  uint64_t chunk_bytes = 1;
  for (const hsize_t size : *chunk) {
    if (size > most_bytes / chunk_bytes) return false;
    chunk_bytes *= size;
  }
  std::vector<uint8_t> bytes(chunk_bytes);
  ChunkCopier copier(shape, *chunk, out);
  Sizes offset(shape.size(), 0);
  do {
    // The file says for each chunk how long it is, and the library believes it.
    hsize_t stored = 0;
    uint32_t filters = 0;
    if (H5Dget_chunk_storage_size(dataset.get(), offset.data(), &stored) < 0 || stored != chunk_bytes ||
        H5Dread_chunk(dataset.get(), H5P_DEFAULT, offset.data(), &filters, bytes.data()) < 0)
      return false;
    copier.copy(bytes.data(), offset);
  } while (advance(offset, shape, *chunk));
  return true;
}

}  // namespace mugato::data::hdf5
#endif
