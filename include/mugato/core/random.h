// Random numbers that are a pure function of their key, the same on every machine: (seed, step, lane), never the rank.
// The distributions of <random> differ between standard libraries; these do not.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>
#include <utility>

namespace mugato {

// SplitMix64's finaliser: a bijection of 64-bit words that scatters neighbouring keys.
constexpr uint64_t mix_bits(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// One key out of several, order mattering: hash_key(seed, step, lane).
template <class... Words>
constexpr uint64_t hash_key(uint64_t first, Words... rest) {
  uint64_t key = mix_bits(first);
  ((key = mix_bits(key ^ static_cast<uint64_t>(rest))), ...);
  return key;
}

// A small generator of uniform, integer and normal draws, started from a key.
class Random {
 public:
  explicit Random(uint64_t key) : state_(key) {}

  uint64_t bits() { return mix_bits(state_++ * 0xd1342543de82ef95ULL); }

  // Uniform in [0, 1).
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  // Uniform in [0, n), n > 0, without bias that matters (64-bit multiply-shift).
  int64_t below(int64_t n) {
    return static_cast<int64_t>((static_cast<unsigned __int128>(bits()) * static_cast<uint64_t>(n)) >> 64);
  }
  // Uniform in [low, high], both included.
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }

  bool chance(double probability) { return uniform() < probability; }

  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

  template <class T>
  void shuffle(std::span<T> items) {
    for (int64_t i = static_cast<int64_t>(items.size()) - 1; i > 0; --i)
      std::swap(items[static_cast<size_t>(i)], items[static_cast<size_t>(below(i + 1))]);
  }

 private:
  uint64_t state_;
};

}  // namespace mugato
