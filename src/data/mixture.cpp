#include "mugato/data/mixture.h"

#include <ATen/ATen.h>

#include <numeric>

#include "mugato/core/error.h"
#include "mugato/core/random.h"

namespace mugato::data {
namespace {

// Largest remainders: shares of kCycle in proportion to the weights, at least one for a positive weight.
std::vector<int64_t> shares(const std::vector<double>& weights) {
  double total = 0.0;
  for (const double weight : weights) {
    if (!(weight >= 0.0) || std::isinf(weight))
      throw Error("a data weight is " + std::to_string(weight), "weights are finite and not negative");
    total += weight;
  }
  if (total <= 0.0) throw Error("no [[data]] entry has a positive weight", "set weight above 0 for at least one");
  if (static_cast<int64_t>(weights.size()) > Mixture::kCycle)
    throw Error(std::to_string(weights.size()) + " [[data]] entries are more than can be mixed",
                "at most " + std::to_string(Mixture::kCycle) + ": put several data sets into one source");
  std::vector<int64_t> share;
  std::vector<double> missing;  // what rounding down took away
  for (const double weight : weights) {
    const double exact = weight / total * static_cast<double>(Mixture::kCycle);
    share.push_back(weight > 0.0 ? std::max<int64_t>(1, static_cast<int64_t>(exact)) : 0);
    missing.push_back(exact - static_cast<double>(share.back()));
  }
  for (int64_t rest = Mixture::kCycle - std::accumulate(share.begin(), share.end(), int64_t{0}); rest != 0;
       rest += rest > 0 ? -1 : 1) {
    const auto i = static_cast<size_t>(rest > 0 ? std::max_element(missing.begin(), missing.end()) - missing.begin()
                                                : std::max_element(share.begin(), share.end()) - share.begin());
    share[i] += rest > 0 ? 1 : -1;
    missing[i] -= rest > 0 ? 1.0 : -1.0;
  }
  return share;
}

// The shuffled order of one cycle, with the number of draws of the same source before each place.
struct Cycle {
  std::vector<uint32_t> source, before;
};

Cycle make_cycle(const std::vector<int64_t>& share, uint64_t key) {
  Cycle cycle;
  for (size_t s = 0; s < share.size(); ++s)
    cycle.source.insert(cycle.source.end(), static_cast<size_t>(share[s]), static_cast<uint32_t>(s));
  Random(key).shuffle(std::span(cycle.source));
  std::vector<uint32_t> seen(share.size(), 0);
  for (const uint32_t s : cycle.source) cycle.before.push_back(seen[s]++);
  return cycle;
}

}  // namespace

Mixture::Mixture(const std::vector<double>& weights, const std::vector<int64_t>& sizes, uint64_t seed,
                 const std::vector<ReadingOrder>& orders)
    : share_(shares(weights)), seed_(seed) {
  TORCH_CHECK(weights.size() == sizes.size(), "one size per weight");
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 1 && share_[i] > 0)
      throw Error("[[data]] entry " + std::to_string(i) + " has no episodes",
                  "its source has a size() of 0: check where it reads from, or set its weight to 0");
    orders_.emplace_back(sizes[i], orders.empty() ? ReadingOrder{} : orders[i], seed, i);
  }
}

Draw Mixture::draw(int64_t number) const {
  const int64_t cycle_number = number / kCycle;
  // Neighbouring draws fall into the same cycle: each thread keeps the last one it made, with the mixture it belongs to.
  thread_local Cycle cycle;
  thread_local std::pair<uint64_t, std::vector<int64_t>> made_for;
  const uint64_t key = hash_key(seed_, 0x6d69780a, cycle_number);
  if (made_for.first != key || made_for.second != share_) {
    cycle = make_cycle(share_, key);
    made_for = {key, share_};
  }
  const auto place = static_cast<size_t>(number % kCycle);
  Draw draw;
  draw.source = cycle.source[place];
  draw.count = cycle_number * share_[draw.source] + cycle.before[place];
  draw.index = orders_[draw.source].index(draw.count);
  return draw;
}

}  // namespace mugato::data
