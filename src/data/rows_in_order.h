// Rows that several threads fill, written one after the other.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "mugato/seq/sequencer.h"

namespace mugato::data {

// A micro-batch in the making. A row is written as soon as it and those before it are filled, by the thread that filled the
// last of them: what it is made of is still in that thread's cache, and need not be kept until all rows are there.
class RowsInOrder {
 public:
  RowsInOrder(const Sequencer& sequencer, int64_t rows, int64_t capacity, int64_t num_domains)
      : sequencer_(sequencer), builder_(rows, capacity, num_domains), waiting_(static_cast<size_t>(rows)) {}

  // Room for what is known to come.
  void reserve(int64_t num_ids, int64_t num_patches) { builder_.reserve(num_ids, num_patches); }

  // `random` draws the positions of the row's patches.
  void add(size_t row, std::vector<Sample> samples, Random random) {
    std::unique_lock lock(mutex_);
    waiting_[row] = {std::move(samples), random};
    if (is_writing_) return;
    is_writing_ = true;
    while (next_ < waiting_.size() && waiting_[next_]) {
      auto filled = std::exchange(waiting_[next_++], std::nullopt);
      lock.unlock();
      write(*filled);
      filled.reset();
      lock.lock();
    }
    is_writing_ = false;
  }

  // After all rows were added.
  MicroBatch finish() { return builder_.finish(); }

 private:
  struct Row {
    std::vector<Sample> samples;
    Random random;
  };

  void write(Row& row) {
    builder_.begin_row();
    for (const auto& sample : row.samples) sequencer_.write(sample, builder_, &row.random);
  }

  const Sequencer& sequencer_;
  LayoutBuilder builder_;  // of the thread that is writing
  std::mutex mutex_;
  bool is_writing_ = false;
  size_t next_ = 0;
  std::vector<std::optional<Row>> waiting_;
};

}  // namespace mugato::data
