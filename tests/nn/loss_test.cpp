// Shape legend: N slots, K targets, D width, V vocabulary.
#include "mugato/nn/loss.h"

#include <gtest/gtest.h>

#include "mugato/nn/bf16_scope.h"
#include "nn/closeness.h"

namespace mugato {
namespace {

using testing::expect_close;

struct Problem {
  at::Tensor hidden, head, slots, targets, weights;

  // K of the N slots in any order, weights of several sizes, zero too.
  Problem(int64_t num_slots, int64_t num_targets, at::ScalarType type, uint64_t seed) {
    at::manual_seed(seed);
    constexpr int64_t kWidth = 6, kVocabulary = 11;
    hidden = at::randn({num_slots, kWidth}, type).requires_grad_();
    head = at::randn({kVocabulary, kWidth}, type).requires_grad_();
    slots = at::randperm(num_slots, at::kLong).narrow(0, 0, num_targets);
    targets = at::randint(kVocabulary, {num_targets}, at::kLong);
    weights = at::randint(4, {num_targets}, at::TensorOptions(at::kDouble)) * 0.5;
  }

  // The same with logits of every slot.
  MaskedCrossEntropy plain() const {
    const auto logits = at::linear(hidden, head);
    const auto nll = at::cross_entropy_loss(logits.index_select(0, slots), targets, {}, at::Reduction::None);
    return {(nll * weights.to(nll.scalar_type())).sum(), nll};
  }
  std::pair<at::Tensor, at::Tensor> gradients(const at::Tensor& sum) const {
    hidden.mutable_grad() = at::Tensor();
    head.mutable_grad() = at::Tensor();
    (sum * 3.0).backward();
    return {hidden.grad().clone(), head.grad().clone()};
  }
};

class MaskedCrossEntropyOf : public ::testing::TestWithParam<std::tuple<at::ScalarType, int64_t>> {};
INSTANTIATE_TEST_SUITE_P(TypesAndChunks, MaskedCrossEntropyOf,
                         ::testing::Combine(::testing::Values(at::kDouble, at::kFloat), ::testing::Values(1, 7, 256)));

TEST_P(MaskedCrossEntropyOf, EqualsTheLossOfAllLogits) {
  const auto [type, chunk] = GetParam();
  for (const auto& [num_slots, num_targets] : {std::pair{1, 1}, {20, 7}, {20, 14}, {40, 40}, {600, 513}}) {
    SCOPED_TRACE(num_targets);
    const Problem problem(num_slots, num_targets, type, static_cast<uint64_t>(num_targets));
    const auto plain = problem.plain();
    const auto ours =
        masked_cross_entropy(problem.hidden, problem.head, problem.slots, problem.targets, problem.weights, chunk);
    EXPECT_EQ(ours.weighted_sum.scalar_type(), type);
    EXPECT_FALSE(ours.nll.requires_grad());
    expect_close(ours.nll, plain.nll, "nll");
    expect_close(ours.weighted_sum, plain.weighted_sum, "sum");
    const auto expected = problem.gradients(plain.weighted_sum), found = problem.gradients(ours.weighted_sum);
    expect_close(found.first, expected.first, "gradient of hidden");
    expect_close(found.second, expected.second, "gradient of head");
  }
}

TEST_P(MaskedCrossEntropyOf, NoTargetsIsZeroWithZeroGradients) {
  const auto [type, chunk] = GetParam();
  const Problem problem(5, 0, type, 1);
  const auto ours = masked_cross_entropy(problem.hidden, problem.head, problem.slots, problem.targets, problem.weights, chunk);
  EXPECT_EQ(ours.weighted_sum.item<double>(), 0.0);
  EXPECT_EQ(ours.nll.numel(), 0);
  const auto found = problem.gradients(ours.weighted_sum);
  EXPECT_EQ(found.first.count_nonzero().item<int64_t>(), 0);
  EXPECT_EQ(found.second.count_nonzero().item<int64_t>(), 0);
}

TEST(MaskedCrossEntropyGradients, AreThoseOfFiniteDifferences) {
  const Problem problem(9, 5, at::kDouble, 3);
  const auto value = [&](const at::Tensor& hidden, const at::Tensor& head) {
    return masked_cross_entropy(hidden, head, problem.slots, problem.targets, problem.weights, 2).weighted_sum;
  };
  value(problem.hidden, problem.head).backward();
  const at::NoGradGuard no_grad;
  constexpr double kStep = 1e-5;
  for (const bool of_head : {false, true}) {
    const auto& input = of_head ? problem.head : problem.hidden;
    auto differences = at::zeros_like(input);
    for (int64_t i = 0; i < input.numel(); ++i) {
      const auto at_step = [&](double step) {
        auto moved = input.clone();
        moved.view(-1)[i] += step;
        return (of_head ? value(problem.hidden, moved) : value(moved, problem.head)).item<double>();
      };
      differences.view(-1)[i] = (at_step(kStep) - at_step(-kStep)) / (2 * kStep);
    }
    // A central difference is off by step^2 and by epsilon / step.
    EXPECT_LT((differences - input.grad()).abs().max().item<double>(), 1e-8 * input.grad().norm().item<double>());
  }
}

// Slots that are not asked for: neither their values nor their gradients exist.
TEST(MaskedCrossEntropyOfOthers, ReadsNoOtherSlot) {
  Problem problem(12, 4, at::kDouble, 5);
  auto others = at::ones({12}, at::kBool).index_fill(0, problem.slots, 0);
  problem.hidden = problem.hidden.detach().masked_fill(others.unsqueeze(1), std::nan("")).requires_grad_();
  const auto ours = masked_cross_entropy(problem.hidden, problem.head, problem.slots, problem.targets, problem.weights);
  ours.weighted_sum.backward();
  EXPECT_TRUE(std::isfinite(ours.weighted_sum.item<double>()));
  EXPECT_EQ(problem.hidden.grad().index({others}).count_nonzero().item<int64_t>(), 0);
  EXPECT_TRUE(problem.head.grad().isfinite().all().item<bool>());
}

TEST(MaskedCrossEntropyOfOthers, GivesTheSameLossInAnEvaluation) {
  const Problem problem(8, 3, at::kFloat, 6);
  const at::NoGradGuard no_grad;
  const auto ours = masked_cross_entropy(problem.hidden, problem.head, problem.slots, problem.targets, problem.weights);
  EXPECT_FALSE(ours.weighted_sum.requires_grad());
  expect_close(ours.weighted_sum, problem.plain().weighted_sum, "sum");
}

TEST(MaskedCrossEntropyOfOthers, ComputesInBfloat16UnderAutocast) {
  const Problem problem(30, 20, at::kFloat, 7);
  const auto plain = problem.plain();
  const auto expected = problem.gradients(plain.weighted_sum);
  const auto ours = [&] {
    const Bf16Scope autocast(true, at::kCPU);
    return masked_cross_entropy(problem.hidden, problem.head, problem.slots, problem.targets, problem.weights, 7);
  }();
  const auto found = problem.gradients(ours.weighted_sum);
  EXPECT_EQ(ours.nll.scalar_type(), at::kFloat);
  const double few = 4.0 * testing::epsilon_of(at::kBFloat16) / testing::epsilon_of(at::kFloat);
  expect_close(ours.nll, plain.nll, "nll", few);
  expect_close(found.first, expected.first, "gradient of hidden", few);
  expect_close(found.second, expected.second, "gradient of head", few);
}

}  // namespace
}  // namespace mugato
