#include "mugato/data/mixture.h"

#include <ATen/ATen.h>

#include <numeric>

#include "mugato/core/error.h"
#include "mugato/core/random.h"
#include "mugato/data/source.h"

namespace mugato::data {
namespace {

// Largest remainders: shares of kHorizon in proportion to the weights, at least one for a positive weight.
std::vector<int64_t> shares(const std::vector<double>& weights) {
  double total = 0.0;
  for (const double weight : weights) {
    if (!(weight >= 0.0) || std::isinf(weight))
      throw Error("a data weight is " + std::to_string(weight), "weights are finite and not negative");
    total += weight;
  }
  if (total <= 0.0) throw Error("no [[data]] entry has a positive weight", "set weight above 0 for at least one");
  if (static_cast<int64_t>(weights.size()) > Mixture::kHorizon)
    throw Error(std::to_string(weights.size()) + " [[data]] entries are more than can be mixed",
                "at most " + std::to_string(Mixture::kHorizon) + ": put several data sets into one source");
  std::vector<int64_t> share;
  std::vector<double> missing;  // what rounding down took away
  for (const double weight : weights) {
    const double exact = weight / total * static_cast<double>(Mixture::kHorizon);
    share.push_back(weight > 0.0 ? std::max<int64_t>(1, static_cast<int64_t>(exact)) : 0);
    missing.push_back(exact - static_cast<double>(share.back()));
  }
  for (int64_t rest = Mixture::kHorizon - std::accumulate(share.begin(), share.end(), int64_t{0}); rest != 0;
       rest += rest > 0 ? -1 : 1) {
    const auto i = static_cast<size_t>(rest > 0 ? std::max_element(missing.begin(), missing.end()) - missing.begin()
                                                : std::max_element(share.begin(), share.end()) - share.begin());
    share[i] += rest > 0 ? 1 : -1;
    missing[i] -= rest > 0 ? 1.0 : -1.0;
  }
  return share;
}

// Where the cycles of a horizon sample the remainders that rounding down leaves, laid end to end: every kCycles of them, from
// this place on. Each place comes once a horizon, for the factor is coprime to kCycles; and the places of neighbouring cycles
// lie evenly, for the continued fraction of 703 / 1000 has no quotient above 2.
constexpr int64_t kStride = 703;

// The sum of floor((stride i + offset) / size) for i in [0, count), by Euclid's algorithm; no argument is negative.
int64_t sum_of_quotients(int64_t count, int64_t size, int64_t stride, int64_t offset) {
  int64_t sum = 0;
  while (count > 0) {
    sum += count * (count - 1) / 2 * (stride / size) + count * (offset / size);
    stride %= size;
    offset %= size;
    const int64_t last = stride * count + offset;  // what is left are as many points below a line as beside it
    count = last / size;
    offset = last % size;
    std::swap(size, stride);
  }
  return sum;
}

// In how many of the first `num_cycles` of a horizon a remainder is sampled that lies behind `before` others.
int64_t num_sampled(int64_t num_cycles, int64_t before, int64_t remainder) {
  const int64_t size = Mixture::kCycles, offset = size - before % size;
  return num_cycles + sum_of_quotients(num_cycles, size, kStride, offset) -
         sum_of_quotients(num_cycles, size, kStride, offset + size - remainder);
}

}  // namespace

void declare(KeyTable& keys, const std::string& prefix, MixtureOptions& options) {
  keys.add(
      prefix + "weights", &options.weights,
      "share of a [[data]] entry in the draws: explicit: its weight; size: times its number of episodes; temperature: times "
      "that number to the power 1 / mixture.temperature",
      one_of({"explicit", "size", "temperature"}));
  keys.add(prefix + "temperature", &options.temperature,
           "with mixture.weights = \"temperature\": 1 is like size, and the higher, the more alike are the shares", positive());
}

std::vector<double> mixture_weights(const MixtureOptions& options, const std::vector<double>& weights,
                                    const std::vector<int64_t>& sizes, const std::vector<std::string>& names) {
  TORCH_CHECK(weights.size() == sizes.size() && weights.size() == names.size(), "one weight, size and name per source");
  if (options.weights == "explicit") return weights;
  const double power = options.weights == "size" ? 1.0 : 1.0 / options.temperature;
  std::vector<double> result;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (sizes[i] == Source::kUnbounded)
      throw Error("mixture.weights is \"" + options.weights + "\", and '" + names[i] + "' makes a new episode for every draw",
                  "its size is no number to go by: set mixture.weights to \"explicit\"");
    result.push_back(weights[i] * std::pow(static_cast<double>(sizes[i]), power));
  }
  return result;
}

// The shuffled order of one cycle, with the number of draws of the same source before each place, since the very first.
struct Mixture::Cycle {
  std::vector<uint32_t> source;
  std::vector<int64_t> before;
};

Mixture::Cycle Mixture::make_cycle(int64_t cycle_number) const {
  const int64_t horizon = cycle_number / kCycles, cycle = cycle_number % kCycles;
  Cycle result;
  std::vector<int64_t> seen;
  int64_t remainders = 0;  // of the sources before, end to end
  for (size_t s = 0; s < share_.size(); ++s) {
    const int64_t down = share_[s] / kCycles, remainder = share_[s] % kCycles;
    const int64_t ups = num_sampled(cycle, remainders, remainder), up = num_sampled(cycle + 1, remainders, remainder) - ups;
    seen.push_back(horizon * share_[s] + cycle * down + ups);
    result.source.insert(result.source.end(), static_cast<size_t>(down + up), static_cast<uint32_t>(s));
    remainders += remainder;
  }
  TORCH_CHECK(static_cast<int64_t>(result.source.size()) == kCycle, "a cycle of ", result.source.size(), " draws");
  Random(hash_key(seed_, 0x6d69780a, cycle_number)).shuffle(std::span(result.source));
  for (const uint32_t s : result.source) result.before.push_back(seen[s]++);
  return result;
}

Mixture::Mixture(const std::vector<double>& weights, const std::vector<int64_t>& sizes, uint64_t seed,
                 const std::vector<ReadingOrder>& orders)
    : share_(shares(weights)), seed_(seed), identity_(hash_key(seed)) {
  TORCH_CHECK(weights.size() == sizes.size(), "one size per weight");
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 1 && share_[i] > 0)
      throw Error("[[data]] entry " + std::to_string(i) + " has no episodes",
                  "its source has a size() of 0: check where it reads from, or set its weight to 0");
    orders_.emplace_back(sizes[i], orders.empty() ? ReadingOrder{} : orders[i], seed, i);
  }
  for (const int64_t share : share_) identity_ = hash_key(identity_, share);
}

int64_t Mixture::index(size_t source, int64_t count) const { return orders_[source].index(count); }

Draw Mixture::draw(int64_t number) const {
  // Neighbouring draws fall into the same cycle: each thread keeps the last one it made, with the mixture it belongs to.
  thread_local Cycle cycle;
  thread_local uint64_t made_for = 0;
  const int64_t cycle_number = number / kCycle;
  const uint64_t key = hash_key(identity_, cycle_number);
  if (made_for != key || cycle.source.empty()) {
    cycle = make_cycle(cycle_number);
    made_for = key;
  }
  const auto place = static_cast<size_t>(number % kCycle);
  Draw draw{.source = cycle.source[place], .count = cycle.before[place]};
  draw.index = index(draw.source, draw.count);
  return draw;
}

}  // namespace mugato::data
