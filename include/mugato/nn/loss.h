// Cross-entropy where it is asked for, and nowhere else (paper 2.3).
// Shape legend: N slots, K targets, D width, V vocabulary.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace mugato {

struct MaskedCrossEntropy {
  at::Tensor weighted_sum;  // scalar, differentiable: sum of weights[k] * nll[k]
  at::Tensor nll;           // (K) negative log-likelihoods in nats, no gradient
};

// hidden (N,D), head weight (V,D): logits are made at the K rows `slots` only, `chunk` rows at a time, and never kept; the
// gradients are computed in the same pass. targets (K) ids, weights (K) float.
MaskedCrossEntropy masked_cross_entropy(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& slots,
                                        const at::Tensor& targets, const at::Tensor& weights, int64_t chunk = 256);

// What a micro-batch contributes: sums and counts that add up over micro-batches and ranks before the one division.
struct LossTerms {
  at::Tensor weighted_sum;      // sum over domains of weight_d * sum_d, differentiable
  std::vector<double> sums;     // sum of nll per domain
  std::vector<int64_t> counts;  // number of targets per domain
};

}  // namespace mugato
