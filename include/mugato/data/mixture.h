// Which episode is drawn when: a pure function of the seed and the number of the draw, so that the position in the data is one
// counter per lane, whatever the number of ranks and threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mugato/core/keys.h"
#include "mugato/data/order.h"

namespace mugato::data {

// What the share of a source follows from, beside the weight that its entry gives.
struct MixtureOptions {
  std::string weights = "explicit";  // explicit: that weight alone; size: times the number of episodes; temperature: times
                                     // the number of episodes to the power 1 / temperature
  double temperature = 1.0;
};
void declare(KeyTable& keys, const std::string& prefix, MixtureOptions& options);

// One weight per source, to be normalised by Mixture. Throws Error, with the source's name, for an unbounded source where sizes
// count.
std::vector<double> mixture_weights(const MixtureOptions& options, const std::vector<double>& weights,
                                    const std::vector<int64_t>& sizes, const std::vector<std::string>& names);

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

  // The episode of a place in a source's global order: draw(n).index is index(draw(n).source, draw(n).count).
  int64_t index(size_t source, int64_t count) const;

  // Draws come in horizons: in each, a source has exactly its share, to a millionth, of which a positive weight gets at least
  // one. A horizon is cycles: in each, a source has its share rounded down or up, in an order shuffled anew. Those rounded up
  // are spread evenly over the cycles of the horizon.
  static constexpr int64_t kCycle = 1000, kCycles = 1000, kHorizon = kCycle * kCycles;

 private:
  struct Cycle;
  Cycle make_cycle(int64_t cycle_number) const;

  std::vector<EpisodeOrder> orders_;
  std::vector<int64_t> share_;  // draws per horizon
  uint64_t seed_;
  uint64_t identity_;  // of seed and shares
};

}  // namespace mugato::data
