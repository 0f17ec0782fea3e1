// Chunks that cut through timesteps, as h5py chooses them for pictures: 56x56 RGB lies in parts of 14x28 and two channels. The
// library copies such data run by run of neighbouring values, two bytes at a time; here the loops are the compiler's.
#pragma once

#include "hdf5.h"

#if MUGATO_HDF5
#include <cstdint>
#include <span>

namespace mugato::data::hdf5 {

// Reads a whole data set of bytes, made as `creation` says, into `out`, row-major. False where it is not stored as such chunks,
// unfiltered and all of them written, or where a chunk would take more than `most_bytes`: the library's own H5Dread is for
// those.
bool read_byte_chunks(const Handle& dataset, const Handle& creation, std::span<const hsize_t> shape, uint64_t most_bytes,
                      uint8_t* out);

}  // namespace mugato::data::hdf5
#endif
