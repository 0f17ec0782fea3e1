// The patches of a batch without repetition: a picture's floor and walls are the same bytes over and over.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

namespace mugato {

class PatchTable {
 public:
  // Room for so many distinct patches; more of them make the table grow.
  void reserve(int64_t count);

  // The indices of `count` patches of kPatchBytes bytes: of each, that of an equal one before it, or the next.
  void add(const uint8_t* patches, int64_t count, int64_t* indices);

  // (U,768) uint8, each distinct patch once, in the order of their indices. The table is empty afterwards. Room
  // that was not needed stays with them: memory that was never touched.
  at::Tensor take();

 private:
  struct Entry {
    uint64_t hash;
    int64_t index;  // -1: free
  };

  void rehash(size_t size);
  Entry& free_entry(uint64_t hash);
  void look_ahead(const uint64_t* hashes, int64_t count) const;
  int64_t index_of(const uint8_t* patch, uint64_t hash);

  at::Tensor patches_;  // (capacity,768), of which the first count_ rows are written
  uint8_t* bytes_ = nullptr;
  int64_t capacity_ = 0, count_ = 0;
  std::vector<Entry> entries_;  // open addressing: a power of two, at least twice the count
};

}  // namespace mugato
