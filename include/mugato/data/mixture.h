// Which episode is drawn when: a pure function of the seed and the number of the draw, so that the position in the data is one
// counter per lane, whatever the number of ranks and threads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "mugato/data/order.h"

namespace mugato::data {

struct Draw {
  size_t source = 0;
  int64_t count = 0;  // how many draws of this source came before: its global order is 0, 1, 2, ...
  int64_t index = 0;  // the episode, by the source's EpisodeOrder
};

class Mixture {
 public:
  // One weight and size per source, and how each is read cheaply; weights count draws. Throws Error when no weight is positive,
  // one is negative, or a source to be drawn from is empty.
  Mixture(const std::vector<double>& weights, const std::vector<int64_t>& sizes, uint64_t seed,
          const std::vector<ReadingOrder>& orders = {});

  Draw draw(int64_t number) const;  // thread-safe

  // Draws come in cycles; within a cycle every source has exactly its share, in an order shuffled anew for each.
  static constexpr int64_t kCycle = 1000;

 private:
  std::vector<EpisodeOrder> orders_;
  std::vector<int64_t> share_;  // draws per cycle
  uint64_t seed_;
};

}  // namespace mugato::data
