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
  EmbedderOptions embedder;  // width, context, device are those of `sequence`, init_std is below; see make_agent
  bool tied_head = false;    // the head is the embedder's table
  double init_std = 0.0;     // of embeddings at the start; 0: 1, or kHeadStd where they are the head, too
};

// Standard deviation of a head at the start. Hidden states of size one then give logits of kHeadStd * sqrt(D), so that the
// first loss is about log V; a table of size one would give logits of sqrt(D).
inline constexpr double kHeadStd = 0.02;

class Agent : public torch::nn::Module {
 public:
  // Takes options.embedder as it is.
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
