#include "mugato/nn/agent.h"

namespace mugato {

Agent::Agent(const AgentOptions& options, std::shared_ptr<SequenceModel> trunk) {
  embedder_ = register_module("embedder", std::make_shared<Embedder>(options.embedder));
  trunk_ = register_module("trunk", std::move(trunk));
  TORCH_CHECK(trunk_->width() == options.embedder.width, "the trunk's width is ", trunk_->width(), ", the embedder's ",
              options.embedder.width);
  head_ =
      options.tied_head
          ? embedder_->table()
          : register_parameter(
                "head", at::randn({options.embedder.vocabulary, options.embedder.width}, options.embedder.device) * kHeadStd);
}

at::Tensor Agent::forward(const MicroBatch& batch, SequenceCache* cache, const at::Tensor& wanted) {
  return trunk_->forward({.x = embedder_->forward(batch), .layout = batch.layout, .wanted = wanted}, cache);
}

std::shared_ptr<Agent> make_agent(AgentOptions options, const SequenceModelRegistry& registry) {
  options.embedder.width = options.sequence.width;
  options.embedder.context = options.sequence.context;
  options.embedder.device = options.sequence.device;
  options.embedder.init_std = options.init_std > 0.0 ? options.init_std : options.tied_head ? kHeadStd : 1.0;
  options.sequence.position_std = kPositionScale * options.embedder.init_std;
  return std::make_shared<Agent>(options, registry.build(options.trunk, options.sequence));
}

}  // namespace mugato
