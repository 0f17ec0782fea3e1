// Embedder, trunk and head together: what a checkpoint holds.
#pragma once

#include <memory>

#include "mugato/nn/embedder.h"
#include "mugato/nn/loss.h"
#include "mugato/nn/sequence_model.h"

namespace mugato {

struct AgentOptions {
  std::string trunk = "transformer";  // a name of the SequenceModelRegistry
  SequenceModelOptions sequence;
  EmbedderOptions embedder;  // width and context are those of `sequence`; see make_agent
  bool tied_head = false;    // the head is the embedder's table
};

class Agent : public torch::nn::Module {
 public:
  Agent(const AgentOptions& options, std::shared_ptr<SequenceModel> trunk);

  // (B,S,D) hidden states, the final norm applied. With `wanted`, flat slots, those of other slots mean nothing.
  at::Tensor forward(const MicroBatch& batch, SequenceCache* cache = nullptr, const at::Tensor& wanted = {});

  // (V,D): logits of a hidden state h are h head^T.
  const at::Tensor& head() const { return head_; }

  Embedder& embedder() { return *embedder_; }
  SequenceModel& trunk() { return *trunk_; }

 private:
  std::shared_ptr<Embedder> embedder_;
  std::shared_ptr<SequenceModel> trunk_;
  at::Tensor head_;
};

// Builds the trunk by name, and the rest round it; parameters are drawn from torch's default generator.
std::shared_ptr<Agent> make_agent(AgentOptions options, const SequenceModelRegistry& registry);

}  // namespace mugato
