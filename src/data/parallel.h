// The same work on many things, each of which is worth a thread's while.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "data_thread.h"

namespace mugato::data {

// As many threads as the machine has cores, 16 at most.
inline size_t most_threads() { return std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 16); }

// Calls work(i) for every i below `count` on at most so many threads, this one among them. Rethrows what the lowest i threw;
// those after it may be left out. LibTorch's own threads are not used within.
template <class Work>
void parallel_for_each(size_t count, size_t num_threads, const Work& work) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  size_t failed = count;
  std::exception_ptr failure;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        next = count;
        if (i < failed) failed = i, failure = std::current_exception();
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (size_t t = 1; t < std::min(count, num_threads); ++t)
      threads.emplace_back([&] {
        const DataThread alone;
        run();
      });
    const DataThread alone;
    run();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace mugato::data
