#include "mugato/seq/patch_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "mugato/core/random.h"
#include "mugato/token/image.h"

namespace mugato {
namespace {

constexpr int64_t kSmallest = 64;

// Both halves of the product of two words.
uint64_t folded_product(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t hash_patch(const uint8_t* bytes) {
  // Four independent chains keep the multiplier busy.
  uint64_t lanes[4] = {0x9e3779b97f4a7c15ULL, 0xbf58476d1ce4e5b9ULL, 0x94d049bb133111ebULL, 0xd1342543de82ef95ULL};
  for (int64_t i = 0; i < kPatchBytes; i += 64)
    for (int64_t j = 0; j < 4; ++j) {
      uint64_t words[2];
      std::memcpy(words, bytes + i + 16 * j, 16);
      lanes[j] = folded_product(lanes[j] ^ words[0], 0x9e3779b97f4a7c15ULL ^ words[1]);
    }
  return hash_key(lanes[0], lanes[1], lanes[2], lanes[3]);
}

}  // namespace

void PatchTable::reserve(int64_t count) {
  if (count <= capacity_) return;
  const auto larger = at::empty({count, kPatchBytes}, at::kByte);
  if (count_ > 0) std::memcpy(larger.data_ptr(), bytes_, static_cast<size_t>(count_ * kPatchBytes));
  patches_ = larger;
  bytes_ = patches_.data_ptr<uint8_t>();
  capacity_ = count;
  rehash(std::bit_ceil(2 * static_cast<size_t>(count)));
}

void PatchTable::rehash(size_t size) {
  const auto old = std::exchange(entries_, std::vector<Entry>(size, {0, -1}));
  for (const auto& entry : old)
    if (entry.index >= 0) free_entry(entry.hash) = entry;
}

PatchTable::Entry& PatchTable::free_entry(uint64_t hash) {
  size_t i = hash & (entries_.size() - 1);
  while (entries_[i].index >= 0) i = (i + 1) & (entries_.size() - 1);
  return entries_[i];
}

int64_t PatchTable::add(const uint8_t* bytes) {
  if (count_ == capacity_) reserve(std::max(kSmallest, 2 * capacity_));
  const uint64_t hash = hash_patch(bytes);
  const size_t mask = entries_.size() - 1;
  size_t i = hash & mask;
  for (; entries_[i].index >= 0; i = (i + 1) & mask)
    if (entries_[i].hash == hash && std::memcmp(bytes_ + entries_[i].index * kPatchBytes, bytes, kPatchBytes) == 0)
      return entries_[i].index;
  std::memcpy(bytes_ + count_ * kPatchBytes, bytes, kPatchBytes);
  entries_[i] = {hash, count_};
  return count_++;
}

at::Tensor PatchTable::take() {
  auto patches = count_ > 0 ? patches_.narrow(0, 0, count_) : at::empty({0, kPatchBytes}, at::kByte);
  // Few of many: what was reserved for the others would stay with the batch.
  if (4 * count_ < capacity_) patches = patches.clone();
  *this = {};
  return patches;
}

}  // namespace mugato
