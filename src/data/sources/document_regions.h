// Documents by index, of files too large to keep the place of each.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace mugato::data {

// Bytes or ids [begin, end) of a file that hold whole documents, or parts of one.
struct DocumentRegion {
  int64_t first = 0;  // index of its first document
  size_t file = 0;
  int64_t begin = 0, end = 0;
  bool starts = true, ends = true;  // whether a document begins and ends with it, or goes on from and to its neighbours
};

// Filled front to back: begin_file, then add for every document of that file. A place is kept for the first document of a file
// and for every one that begins `spacing` or more after the last place kept.
class DocumentRegions {
 public:
  explicit DocumentRegions(int64_t spacing) : spacing_(spacing) {}

  void begin_file(size_t file, int64_t file_size) {
    file_ = file;
    file_size_ = file_size;
    is_new_ = true;
  }

  void add(int64_t begin, bool starts = true) {
    if (is_new_ || begin - regions_.back().begin >= spacing_) {
      if (!is_new_) regions_.back().end = begin, regions_.back().ends = starts;
      regions_.push_back({size_, file_, begin, file_size_, starts});
      is_new_ = false;
    }
    ++size_;
  }

  int64_t size() const { return size_; }

  const DocumentRegion& of(int64_t index) const {
    TORCH_CHECK(index >= 0 && index < size_, "document ", index, " of ", size_);
    const auto after = std::upper_bound(regions_.begin(), regions_.end(), index,
                                        [](int64_t i, const DocumentRegion& region) { return i < region.first; });
    return *(after - 1);
  }

 private:
  int64_t spacing_;
  std::vector<DocumentRegion> regions_;
  size_t file_ = 0;
  int64_t file_size_ = 0, size_ = 0;
  bool is_new_ = true;
};

}  // namespace mugato::data
