#include "mugato/data/order.h"

#include <ATen/ATen.h>

#include <bit>

#include "mugato/core/random.h"

namespace mugato::data {

int64_t permuted(int64_t index, int64_t size, uint64_t key) {
  TORCH_CHECK(index >= 0 && index < size, "index ", index, " of ", size);
  if (size == 1) return 0;
  // An even number of bits that holds size: at most four times as many places as values, so the walk is short.
  const auto half = (std::bit_width(static_cast<uint64_t>(size - 1)) + 1U) / 2;
  const uint64_t mask = (uint64_t{1} << half) - 1;
  auto value = static_cast<uint64_t>(index);
  do {
    uint64_t left = value >> half, right = value & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      const uint64_t mixed = left ^ (hash_key(key, round, right) & mask);
      left = right;
      right = mixed;
    }
    value = (left << half) | right;
  } while (value >= static_cast<uint64_t>(size));
  return static_cast<int64_t>(value);
}

EpisodeOrder::EpisodeOrder(int64_t size, const ReadingOrder& order, uint64_t seed, size_t source)
    : size_(size), block_(std::max<int64_t>(order.block, 1)), seed_(seed), source_(source) {
  if (order.runs.empty()) return;
  run_begin_.push_back(0);
  for (const int64_t length : order.runs)
    if (length > 0) run_begin_.push_back(run_begin_.back() + length);
  TORCH_CHECK(run_begin_.back() == size_, "runs of ", run_begin_.back(), " episodes in a source of ", size_);
}

int64_t EpisodeOrder::index(int64_t count) const {
  const int64_t epoch = count / size_, place = count % size_;
  const uint64_t key = hash_key(seed_, source_, epoch);
  return run_begin_.empty() ? permuted(place, size_, key) : index_in_runs(place, key);
}

int64_t EpisodeOrder::index_in_runs(int64_t place, uint64_t key) const {
  // Neighbouring places lie in the same run: each thread keeps where the runs of its last epoch begin.
  struct Epoch {
    uint64_t key = 0;
    std::vector<int64_t> runs;           // run_begin_ they were made from
    std::vector<int64_t> first, number;  // place of the first episode of the i-th run, and which run it is
  };
  thread_local Epoch epoch;
  if (epoch.key != key || epoch.runs != run_begin_) {
    epoch = {.key = key, .runs = run_begin_};
    const auto num_runs = static_cast<int64_t>(run_begin_.size()) - 1;
    for (int64_t i = 0, at = 0; i < num_runs; ++i) {
      const auto run = static_cast<size_t>(permuted(i, num_runs, key));
      epoch.first.push_back(at);
      epoch.number.push_back(static_cast<int64_t>(run));
      at += run_begin_[run + 1] - run_begin_[run];
    }
  }
  const auto i = static_cast<size_t>(std::upper_bound(epoch.first.begin(), epoch.first.end(), place) - epoch.first.begin()) - 1;
  const auto run = static_cast<size_t>(epoch.number[i]);
  const int64_t begin = run_begin_[run], length = run_begin_[run + 1] - begin;
  const int64_t offset = place - epoch.first[i], block = offset / block_ * block_;
  return begin + block + permuted(offset - block, std::min(block_, length - block), hash_key(key, run, block));
}

}  // namespace mugato::data
