// What the process has taken so far: processor time and memory.
#pragma once

#include <sys/resource.h>

#include <cstdint>

namespace mugato::run {

struct ProcessUsage {
  double user = 0.0, system = 0.0;  // processor seconds of all threads
  int64_t peak_memory = 0;          // bytes, resident

  double processor() const { return user + system; }

  static ProcessUsage now() {
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return {seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss * 1024};
  }
};

}  // namespace mugato::run
