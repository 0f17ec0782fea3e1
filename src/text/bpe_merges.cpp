#include "bpe_merges.h"

#include <algorithm>
#include <bit>

#include "mugato/core/random.h"

namespace mugato::text {
namespace {

uint64_t pair_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// For a heap with the lowest rank on top; of equal ranks the first place.
bool comes_later(const BpeMerges::Scratch::Candidate& a, const BpeMerges::Scratch::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.place > b.place;
}

}  // namespace

BpeMerges::BpeMerges(const std::vector<Merge>& merges) : slots_(std::bit_ceil(2 * merges.size() + 2)) {
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const uint64_t pair = pair_of(merges[rank].left, merges[rank].right);
    size_t place = first_place(pair);
    while (slots_[place].pair != pair && slots_[place].pair != UINT64_MAX) place = (place + 1) & (slots_.size() - 1);
    slots_[place] = {pair, static_cast<int32_t>(rank), merges[rank].result};
  }
}

size_t BpeMerges::first_place(uint64_t pair) const { return mix_bits(pair) & (slots_.size() - 1); }

const BpeMerges::Slot* BpeMerges::find(int32_t left, int32_t right) const {
  const uint64_t pair = pair_of(left, right);
  for (size_t place = first_place(pair);; place = (place + 1) & (slots_.size() - 1)) {
    if (slots_[place].pair == pair) return &slots_[place];
    if (slots_[place].pair == UINT64_MAX) return nullptr;
  }
}

void BpeMerges::apply(std::vector<int32_t>& word, size_t begin, Scratch& scratch) const {
  auto& tokens = scratch.tokens;
  auto& heap = scratch.heap;
  const auto size = static_cast<int32_t>(word.size() - begin);
  const auto at = [&](int32_t place) -> Scratch::Token& { return tokens[static_cast<size_t>(place)]; };
  tokens.clear();
  for (int32_t i = 0; i < size; ++i) tokens.push_back({word[begin + static_cast<size_t>(i)], i - 1, i + 1 < size ? i + 1 : -1});
  heap.clear();
  const auto consider = [&](int32_t place) {
    if (place < 0 || at(place).next < 0) return false;
    const int32_t left = at(place).id, right = at(at(place).next).id;
    const Slot* merge = find(left, right);
    if (merge) heap.push_back({merge->rank, place, left, right, merge->result});
    return merge != nullptr;
  };
  for (int32_t i = 0; i + 1 < size; ++i) consider(i);
  std::make_heap(heap.begin(), heap.end(), comes_later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), comes_later);
    const auto [rank, place, left, right, result] = heap.back();
    heap.pop_back();
    auto& token = at(place);
    if (token.id != left || token.next < 0 || at(token.next).id != right) continue;  // one of the two has merged since
    auto& merged = at(token.next);
    token.id = result;
    token.next = merged.next;
    merged.id = -1;
    if (token.next >= 0) at(token.next).previous = place;
    for (const int32_t changed : {token.previous, place})
      if (consider(changed)) std::push_heap(heap.begin(), heap.end(), comes_later);
  }
  word.resize(begin);
  for (const auto& token : tokens)
    if (token.id >= 0) word.push_back(token.id);
}

}  // namespace mugato::text
