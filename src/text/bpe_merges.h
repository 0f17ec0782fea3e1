// The merges of byte-pair encoding: of a word's neighbouring tokens, the pair of lowest rank becomes one, again and again.
#pragma once

#include <cstdint>
#include <vector>

namespace mugato::text {

struct Merge {
  int32_t left, right, result;  // ids; a merge's rank is its place in the list
};

class BpeMerges {
 public:
  // Of two merges of one pair, the later one counts.
  explicit BpeMerges(const std::vector<Merge>& merges);

  // What a thread needs while it merges, kept from word to word.
  struct Scratch {
    struct Token {
      int32_t id, previous, next;  // id -1: became part of the one before; next and previous: places, -1 for none
    };
    struct Candidate {
      int32_t rank, place, left, right, result;
    };
    std::vector<Token> tokens;
    std::vector<Candidate> heap;
  };

  // Merges the ids word[begin...] in place. O(n log n).
  void apply(std::vector<int32_t>& word, size_t begin, Scratch& scratch) const;

 private:
  struct Slot {
    uint64_t pair = UINT64_MAX;
    int32_t rank = 0, result = 0;
  };
  const Slot* find(int32_t left, int32_t right) const;  // null: no such merge
  size_t first_place(uint64_t pair) const;

  std::vector<Slot> slots_;  // a hash table by open addressing, its size a power of two; at most half full
};

}  // namespace mugato::text
