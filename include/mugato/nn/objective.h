// What the trainer minimises. It knows an Objective, not a model.
#pragma once

#include <memory>
#include <vector>

#include "mugato/nn/agent.h"

namespace mugato {

class Objective {
 public:
  virtual ~Objective() = default;

  // Terms of one micro-batch; `weights` is the loss weight of each domain.
  virtual LossTerms loss(const MicroBatch& batch, const std::vector<double>& weights) = 0;

  // What is trained and saved.
  virtual torch::nn::Module& module() = 0;
};

// Terms of the targets of a batch, given the hidden states (B,S,D) and the head (V,D).
LossTerms next_token_loss(const at::Tensor& hidden_BSD, const at::Tensor& head, const MicroBatch& batch,
                          const std::vector<double>& weights);

// Next-token prediction at the targets (paper 2.3).
class NextTokenObjective : public Objective {
 public:
  explicit NextTokenObjective(std::shared_ptr<Agent> agent) : agent_(std::move(agent)) {}
  LossTerms loss(const MicroBatch& batch, const std::vector<double>& weights) override;
  torch::nn::Module& module() override { return *agent_; }
  Agent& agent() { return *agent_; }

 private:
  std::shared_ptr<Agent> agent_;
};

}  // namespace mugato
