// The order in which the episodes of one source are drawn: a pure function of the seed and the number of the draw.
#pragma once

#include <cstdint>
#include <vector>

#include "mugato/data/source.h"

namespace mugato::data {

// A permutation of [0, size) that needs no memory: index -> index, by a keyed Feistel network walked until it lands inside.
int64_t permuted(int64_t index, int64_t size, uint64_t key);

// Every episode is drawn once before any is drawn again; each such epoch has an order of its own. Where all indices are equally
// cheap, the order is a permutation of all of them. Where they lie in runs, the runs come in a permuted order and the episodes
// of every block in a permuted order: what a shuffle buffer would give, without a buffer to save.
class EpisodeOrder {
 public:
  // `source` tells the orders of several sources of one seed apart.
  EpisodeOrder(int64_t size, const ReadingOrder& order, uint64_t seed, size_t source);

  int64_t size() const { return size_; }
  int64_t index(int64_t count) const;  // of the count-th draw, count from 0

 private:
  int64_t index_in_runs(int64_t place, uint64_t key) const;

  int64_t size_;
  std::vector<int64_t> run_begin_;  // first index of each run, and size_; empty: one permutation
  int64_t block_;
  uint64_t seed_;
  size_t source_;
};

}  // namespace mugato::data
