#include "mugato/seq/patch_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "mugato/token/image.h"

namespace mugato {
namespace {

constexpr int64_t kSmallest = 64;

// Both halves of the product of two words.
uint64_t folded_product(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t mixed(uint64_t lane, const uint8_t* bytes) {
  uint64_t words[2];
  std::memcpy(words, bytes, sizeof words);
  return folded_product(lane ^ words[0], 0x9e3779b97f4a7c15ULL ^ words[1]);
}

uint64_t hash_patch(const uint8_t* bytes) {
  // Independent chains keep the multiplier busy.
  uint64_t a = 0x9e3779b97f4a7c15ULL, b = 0xbf58476d1ce4e5b9ULL, c = 0x94d049bb133111ebULL, d = 0xd1342543de82ef95ULL;
  uint64_t e = ~a, f = ~b, g = ~c, h = ~d;
  static_assert(kPatchBytes % 128 == 0);
  for (const uint8_t* end = bytes + kPatchBytes; bytes < end; bytes += 128) {
    a = mixed(a, bytes);
    b = mixed(b, bytes + 16);
    c = mixed(c, bytes + 32);
    d = mixed(d, bytes + 48);
    e = mixed(e, bytes + 64);
    f = mixed(f, bytes + 80);
    g = mixed(g, bytes + 96);
    h = mixed(h, bytes + 112);
  }
  return folded_product(a ^ folded_product(b, c), d ^ e) ^ folded_product(f, g ^ h);
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

// What was added long ago is in no near cache: all of it is asked for before any is waited for.
void PatchTable::look_ahead(const uint64_t* hashes, int64_t count) const {
  const size_t mask = entries_.size() - 1;
  for (int64_t i = 0; i < count; ++i) __builtin_prefetch(&entries_[hashes[i] & mask]);
  for (int64_t i = 0; i < count; ++i) {
    const auto& entry = entries_[hashes[i] & mask];
    if (entry.hash != hashes[i] || entry.index < 0) continue;
    for (int64_t line = 0; line < kPatchBytes; line += 64) __builtin_prefetch(bytes_ + entry.index * kPatchBytes + line);
  }
}

int64_t PatchTable::index_of(const uint8_t* patch, uint64_t hash) {
  const size_t mask = entries_.size() - 1;
  size_t i = hash & mask;
  for (; entries_[i].index >= 0; i = (i + 1) & mask)
    if (entries_[i].hash == hash && std::memcmp(bytes_ + entries_[i].index * kPatchBytes, patch, kPatchBytes) == 0)
      return entries_[i].index;
  std::memcpy(bytes_ + count_ * kPatchBytes, patch, kPatchBytes);
  entries_[i] = {hash, count_};
  return count_++;
}

void PatchTable::add(const uint8_t* patches, int64_t count, int64_t* indices) {
  constexpr int64_t kAtOnce = 16;
  for (int64_t begin = 0; begin < count; begin += kAtOnce, patches += kAtOnce * kPatchBytes) {
    const int64_t size = std::min(kAtOnce, count - begin);
    if (count_ + size > capacity_) reserve(std::max({kSmallest, 2 * capacity_, count_ + size}));
    uint64_t hashes[kAtOnce];
    for (int64_t i = 0; i < size; ++i) hashes[i] = hash_patch(patches + i * kPatchBytes);
    look_ahead(hashes, size);
    for (int64_t i = 0; i < size; ++i) indices[begin + i] = index_of(patches + i * kPatchBytes, hashes[i]);
  }
}

at::Tensor PatchTable::take() {
  const auto patches = count_ > 0 ? patches_.narrow(0, 0, count_) : at::empty({0, kPatchBytes}, at::kByte);
  *this = {};
  return patches;
}

}  // namespace mugato
