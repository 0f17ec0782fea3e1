// The same work on many files, where a file is worth a thread's while.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace mugato::data {

// Calls work(i) for every i below `count` on as many threads as the machine has cores, 16 at most. Rethrows what the lowest i
// threw; those after it may be left out.
template <class Work>
void parallel_for_each(size_t count, const Work& work) {
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
    std::vector<std::jthread> threads(std::min<size_t>({count, std::max(1U, std::thread::hardware_concurrency()), 16}));
    for (auto& thread : threads) thread = std::jthread(run);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace mugato::data
