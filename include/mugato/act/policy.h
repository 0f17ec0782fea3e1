// A trained agent that acts: it reads an observation and writes the action token by token, with cached keys and values.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "mugato/core/random.h"
#include "mugato/nn/agent.h"
#include "mugato/seq/sequencer.h"

namespace mugato::act {

struct PolicyOptions {
  int64_t context = 1024;    // tokens that a session remembers at most
  int64_t max_steps = 0;     // timesteps it remembers at most, as the windows of training had; 0: no such limit
  double temperature = 1.0;  // of sampling among the valid ids; 0: the most likely one
  int64_t max_answer = 64;   // tokens of a text answer at most, its end not counted
};

// Sessions act side by side, each in its own episode, sharing every forward pass. When a session's memory is full, the
// newest whole timesteps up to half of it are kept and read again; its logits then equal those of an uncached pass over the
// kept tokens.
class Policy {
 public:
  Policy(std::shared_ptr<Agent> agent, std::shared_ptr<const Tokenizer> tokenizer, std::shared_ptr<const Sequencer> sequencer,
         Schema schema, int64_t sessions, PolicyOptions options);
  ~Policy();

  // A new episode: forgets what the session has seen; its draws follow from the seed.
  void reset(int64_t session, uint64_t seed);

  // One action per session named; each has its own observation. Only ids that are legal for an action are ever drawn.
  // Throws Error when an observation lacks a field or has another shape than the schema's.
  std::vector<Action> act(std::span<const int64_t> sessions, std::span<const Observation> observations);

  const Schema& schema() const { return schema_; }

  // Hidden states of the last token of each session of the last act() before its first action token, (n,D): for tests.
  const at::Tensor& last_hidden() const { return last_hidden_; }

  // The document that a session has in memory as one uncached batch, the observation of the last act() included: for tests.
  MicroBatch uncached(int64_t session) const;

 private:
  // A token that was written but not read by the model yet.
  struct Pending {
    int64_t id = 0, timestep = 0, local = 0;
    bool action = true;
  };
  struct Session {
    struct Step {
      Timesteps read;                             // the observation, one timestep; target fields are empty
      std::vector<std::vector<int64_t>> written;  // ids per target field, in the order of the timestep, ends included
      int64_t observed_tokens = 0;                // separator included
    };
    std::vector<Step> memory;  // the last one is the present timestep
    int64_t cached = 0;        // tokens that the cache holds
    std::optional<Pending> pending;
    Random random{0};
  };

  void check_session(int64_t session) const;
  Session::Step read(const Observation& observation) const;
  void make_room(Session& session, int64_t row, int64_t fresh_tokens);
  void write_memory(const Session& session, size_t first_step, LayoutBuilder& builder) const;
  at::Tensor forward(std::span<const int64_t> sessions, const std::function<void(size_t, LayoutBuilder&)>& write,
                     int64_t capacity);
  void write_field(size_t field, std::span<const int64_t> sessions, at::Tensor& hidden);
  void write_text(size_t field, std::span<const int64_t> sessions, at::Tensor& hidden);
  std::vector<int64_t> sample(const at::Tensor& hidden, std::span<const int64_t> sessions, const std::vector<IdRange>& legal);
  void write_id(Session& session, size_t field, int64_t id);
  bool has_room_for_text(const Session& session, size_t field) const;
  int64_t tokens_of(const Session& session, size_t step) const;
  int64_t tokens_held(const Session& session) const;

  std::shared_ptr<Agent> agent_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const Sequencer> sequencer_;
  Schema schema_;
  StepOrder order_;
  PolicyOptions options_;
  int64_t num_start_ = 0;                         // tokens before the first timestep
  int64_t least_written_ = 0, most_written_ = 0;  // tokens that are written in a timestep
  std::vector<Session> sessions_;
  std::unique_ptr<SequenceCache> cache_;
  at::Tensor last_hidden_;
};

}  // namespace mugato::act
