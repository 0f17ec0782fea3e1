// Which of the processes are alive, and what they do: said through the store by a thread of each.
#pragma once

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <string>

namespace mugato::dist {

class Liveness {
 public:
  // `store` is a connection of its own: one that waits for a key blocks all others of it. `name` is this process for people:
  // "rank 3 (host gpu7, process 4711)".
  Liveness(c10::intrusive_ptr<c10d::Store> store, int64_t rank, int64_t size, const std::string& name,
           std::chrono::milliseconds every);
  ~Liveness();
  Liveness(const Liveness&) = delete;
  Liveness& operator=(const Liveness&) = delete;

  void doing(const std::string& what);
  void fail(const std::string& why) noexcept;

  // Who is to blame for a collective that failed here, in words: those that said why they end, else those that give no sign
  // of life, else those that do something else. Takes a few intervals, for the others to speak.
  std::string blame() const;

 private:
  struct State;  // outlives this where a cable is cut: a connection waits for ever then
  std::shared_ptr<State> state_;
  std::shared_future<void> ended_;
};

}  // namespace mugato::dist
