// A dataset of an HDF5 file as a column: numbers, texts, or rows of bytes.
#pragma once

#include "hdf5.h"

#if MUGATO_HDF5
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "column_values.h"
#include "hdf5_plain.h"

namespace mugato::data::hdf5 {

class DatasetReader {
 public:
  // `where` begins the messages of the errors that every call may throw: for a dataset that is missing or broken, that has its
  // values in another file, or that claims more than a file of `file_size` bytes can hold.
  DatasetReader(hid_t parent, const std::string& path, std::string where, uint64_t file_size);

  int64_t num_rows() const { return static_cast<int64_t>(std::min<hsize_t>(shape_[0], INT64_MAX)); }
  ColumnValues read() const;

  // Where the column lies, if it is rows of this shape, texts or rows of bytes.
  Place place(at::IntArrayRef row_shape) const;

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& hint) const;
  [[noreturn]] void fail_to_read() const;
  void check_size() const;
  void check_one_axis() const;
  void read_into(hid_t memory, hid_t transfer, void* out) const;
  uint64_t most_bytes() const;
  bool has_byte_rows() const;
  Place piece(Place::Rows rows, uint64_t value_bytes, at::ScalarType scalar = at::kByte) const;

  ColumnValues numbers() const;
  ColumnValues texts() const;
  ColumnValues fixed_texts() const;
  ColumnValues byte_rows() const;
  template <class Row, class StringOf>
  ColumnValues variable_rows(hid_t memory, const StringOf& string_of) const;

  std::string where_;
  Handle dataset_, creation_, type_, space_;
  std::vector<hsize_t> shape_;
  uint64_t file_size_;
};

}  // namespace mugato::data::hdf5
#endif
