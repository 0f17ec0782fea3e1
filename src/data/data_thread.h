// What LibTorch is to do on a thread that makes data, while the trainer computes.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/LegacyTypeDispatch.h>

// Of the OpenMP that LibTorch was built with, whichever that is; null where it was built with none.
extern "C" [[gnu::weak]] void omp_set_num_threads(int);

namespace mugato::data {

// As long as it lives, LibTorch's operations on this thread run on this thread alone, and nothing is recorded for gradients.
// Every thread that calls operations has a pool of threads of its own otherwise, which spins on the trainer's cores;
// at::set_num_threads would be for the trainer too.
class DataThread {
 public:
  DataThread() { set(1); }
  ~DataThread() { set(num_threads_); }
  DataThread(const DataThread&) = delete;
  DataThread& operator=(const DataThread&) = delete;

 private:
  static void set(int num_threads) {
    if (omp_set_num_threads) omp_set_num_threads(num_threads);
  }

  const int num_threads_ = at::get_num_threads();  // asked for first: the first question on a thread sets its number
  const at::AutoDispatchBelowADInplaceOrView below_autograd_;
};

}  // namespace mugato::data
