// The BatchStream of training: lanes of draws, packed into rows by threads ahead of the trainer.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "mugato/data/documents.h"
#include "mugato/data/mixture.h"
#include "mugato/data/sources.h"
#include "mugato/seq/batch_stream.h"

namespace mugato::data {

class RowsInOrder;

struct LoaderOptions {
  int64_t rows = 8;        // L: rows of a global step, a lane each
  int64_t first_lane = 0;  // those of this process: num_lanes of them; 0: all
  int64_t num_lanes = 0;
  int64_t micro_rows = 0;  // rows of a micro-batch; 0: all of them
  int64_t context = 1024;  // S: slots of a row
  int64_t workers = 1;     // threads that make rows
  int64_t prefetch = 4;    // steps made ahead
  uint64_t seed = 0;
  bool pin = false;  // batches in memory that a GPU copies from while the program goes on
  MixtureOptions mixture = {};
};

class Loader : public BatchStream {
 public:
  Loader(const std::vector<DataEntry>& entries, std::vector<std::shared_ptr<const Source>> sources,
         std::shared_ptr<const Tokenizer> tokenizer, std::shared_ptr<const Sequencer> sequencer, LoaderOptions options);
  ~Loader() override;

  // Waits for the next step. Rethrows what went wrong in a thread, after the steps made before it.
  GlobalStep next() override;
  std::string state() const override;
  void set_state(const std::string& state) override;  // of all lanes; throws Error when it is of another number of rows
  std::string merged(const std::vector<std::string>& states) const override;
  const std::vector<std::string>& domain_names() const override { return domain_names_; }

  const Mixture& mixture() const { return mixture_; }  // which episode each draw is of

 private:
  // Everything a thread needs to go on: a counter per lane of this process. A document that did not fit is drawn again, so it
  // is not saved.
  struct Position {
    int64_t step = 0;
    std::vector<int64_t> draws;
    std::vector<int64_t> taken;  // documents of the lane's draw that are in a row already: a draw may make several
  };
  // What a lane put into a step.
  struct Filled {
    std::vector<Sample> row;
    std::vector<DomainCounts> counts;
    std::vector<std::string> problems;
  };
  struct Made {
    GlobalStep step;
    Position after;
  };
  struct Lane;

  void start();
  void stop();
  void run();
  Made make(Position position, std::vector<Lane>& lanes) const;
  // `index` is the lane's among those of this process.
  void fill(size_t index, Position& position, Lane& state, Filled& filled) const;
  void draw(size_t index, Position& position, Lane& state, Filled& filled) const;
  static void count_broken(size_t domain, int64_t num_broken, const std::string& problem, Filled& filled);
  GlobalStep finish(std::deque<RowsInOrder>& micro, const std::vector<Filled>& lanes) const;

  std::vector<std::string> domain_names_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const Sequencer> sequencer_;
  LoaderOptions options_;
  Mixture mixture_;
  std::vector<DocumentMaker> makers_;
  mutable int64_t most_patches_ = 0;  // of a micro-batch until now: the next ones get room for as many

  Position position_;  // after the last step handed out
  mutable std::mutex mutex_;
  std::condition_variable ready_, space_;
  std::deque<Made> queue_;
  std::exception_ptr error_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace mugato::data
