#include "mugato/nn/objective.h"

namespace mugato {

LossTerms next_token_loss(const at::Tensor& hidden_BSD, const at::Tensor& head, const MicroBatch& batch,
                          const std::vector<double>& weights) {
  const auto& layout = batch.layout;
  TORCH_CHECK(weights.size() == batch.target_counts.size(), weights.size(), " loss weights for ", batch.target_counts.size(),
              " domains");
  const auto per_domain = at::tensor(weights, at::kDouble).to(hidden_BSD.device());
  const auto terms = masked_cross_entropy(hidden_BSD.flatten(0, 1), head, layout.target_slots, layout.targets,
                                          per_domain.index_select(0, layout.target_domains));
  auto sums = at::zeros({static_cast<int64_t>(weights.size())}, terms.nll.options().dtype(at::kDouble));
  sums.index_add_(0, layout.target_domains, terms.nll.to(at::kDouble));
  sums = sums.cpu();
  return {terms.weighted_sum, {sums.data_ptr<double>(), sums.data_ptr<double>() + sums.numel()}, batch.target_counts};
}

LossTerms NextTokenObjective::loss(const MicroBatch& batch, const std::vector<double>& weights) {
  return next_token_loss(agent_->forward(batch, nullptr, batch.layout.target_slots), agent_->head(), batch, weights);
}

}  // namespace mugato
