// What the trainer sees of data: global steps of rows, and a position to save.
#pragma once

#include <string>
#include <vector>

#include "mugato/seq/layout.h"

namespace mugato {

// Counters of what a stream has handed out, per domain.
struct DomainCounts {
  int64_t samples = 0, tokens = 0, targets = 0;
  int64_t clipped = 0;   // continuous values outside of the range of their field
  int64_t skipped = 0;   // samples that could not be made
  int64_t prompted = 0;  // samples that begin with a demonstration

  DomainCounts& operator+=(const DomainCounts& other) {
    samples += other.samples;
    tokens += other.tokens;
    targets += other.targets;
    clipped += other.clipped;
    skipped += other.skipped;
    prompted += other.prompted;
    return *this;
  }
};

// The rows of one global step, in micro-batches that fit in memory; where processes share it, those of one of them.
struct GlobalStep {
  std::vector<MicroBatch> micro_batches;
  std::vector<DomainCounts> counts;   // of this step, per domain
  std::vector<std::string> problems;  // per domain: what the first sample that was skipped said; empty: none was
};

class BatchStream {
 public:
  virtual ~BatchStream() = default;
  virtual GlobalStep next() = 0;

  // The position after the last step handed out, small; set_state continues exactly there.
  virtual std::string state() const = 0;
  virtual void set_state(const std::string& state) = 0;

  // The position of all processes, which set_state of any number of them takes, from what state() is in each, by rank.
  virtual std::string merged(const std::vector<std::string>& states) const { return states.front(); }

  virtual const std::vector<std::string>& domain_names() const = 0;
};

}  // namespace mugato
