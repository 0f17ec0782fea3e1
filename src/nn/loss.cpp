#include "mugato/nn/loss.h"

#include <torch/csrc/autograd/custom_function.h>

namespace mugato {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Gradients are made chunk by chunk in the forward pass, where the logits are, and scaled in the backward pass.
struct ChunkedCrossEntropy : torch::autograd::Function<ChunkedCrossEntropy> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& slots,
                               const at::Tensor& targets, const at::Tensor& weights, int64_t chunk) {
    const bool need_hidden = hidden.requires_grad(), need_head = head.requires_grad();
    const auto wide = hidden.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;  // bf16 logits are summed up in float
    auto grad_hidden = need_hidden ? at::zeros_like(hidden) : at::Tensor();
    auto grad_head = need_head ? at::zeros(head.sizes(), head.options().dtype(wide)) : at::Tensor();
    auto nll = at::empty({slots.size(0)}, hidden.options().dtype(wide));
    const auto weights_wide = weights.to(wide);
    const auto head_cast = head.to(hidden.scalar_type());
    for (int64_t begin = 0; begin < slots.size(0); begin += chunk) {
      const int64_t size = std::min(chunk, slots.size(0) - begin);
      const auto rows = slots.narrow(0, begin, size), target = targets.narrow(0, begin, size).unsqueeze(1);
      const auto picked = hidden.index_select(0, rows);
      auto logits = at::mm(picked, head_cast.t()).to(wide);
      const auto log_sum = logits.logsumexp(1, true);
      nll.narrow(0, begin, size).copy_((log_sum - logits.gather(1, target)).squeeze(1));
      if (!need_hidden && !need_head) continue;
      auto gradient = logits.sub_(log_sum).exp_();  // softmax, in place of the logits
      gradient.scatter_add_(1, target, at::full_like(target, -1, gradient.options()));
      gradient.mul_(weights_wide.narrow(0, begin, size).unsqueeze(1));
      // A slot predicts one token, so no row is written twice.
      // Under autocast the product comes in bfloat16.
      if (need_hidden)
        grad_hidden.index_copy_(0, rows, at::mm(gradient.to(head_cast.scalar_type()), head_cast).to(hidden.scalar_type()));
      if (need_head) grad_head.addmm_(gradient.t(), picked.to(wide));
    }
    ctx->save_for_backward({grad_hidden, need_head ? grad_head.to(head.scalar_type()) : grad_head});
    ctx->mark_non_differentiable({nll});
    return {(nll * weights_wide).sum(), nll};
  }

  static variable_list backward(AutogradContext* ctx, variable_list grad) {
    const auto saved = ctx->get_saved_variables();
    const auto scaled = [&](const at::Tensor& x) { return x.defined() ? x * grad[0].to(x.scalar_type()) : at::Tensor(); };
    return {scaled(saved[0]), scaled(saved[1]), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

MaskedCrossEntropy masked_cross_entropy(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& slots,
                                        const at::Tensor& targets, const at::Tensor& weights, int64_t chunk) {
  TORCH_CHECK(slots.size(0) == targets.size(0) && slots.size(0) == weights.size(0), "one weight and one target per slot");
  // In an evaluation the head still asks for gradients, which nobody reads.
  const bool train = at::GradMode::is_enabled();
  const auto result = ChunkedCrossEntropy::apply(train ? hidden : hidden.detach(), train ? head : head.detach(), slots, targets,
                                                 weights, chunk);
  return {result[0], result[1]};
}

}  // namespace mugato
