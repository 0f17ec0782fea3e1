// Shape legend: B rows, S slots, D width, V vocabulary.
#include "mugato/nn/objective.h"

#include <gtest/gtest.h>

#include "mugato/nn/bf16_scope.h"
#include "nn/closeness.h"
#include "nn/random_batches.h"

namespace mugato {
namespace {

using testing::expect_close;
using testing::Features;
using testing::make_small_agent;
using testing::random_rows;
using testing::small_tokenizer;

constexpr int64_t kDomains = 3, kCapacity = 100;
const std::vector<double> kWeights{1.0, 0.25, 3.0};

class NextToken : public ::testing::TestWithParam<Features> {
 protected:
  const Tokenizer tokenizer_ = small_tokenizer();
  const Sequencer sequencer_{tokenizer_.vocabulary(), {}};
  const std::shared_ptr<Agent> agent_ = make_small_agent(GetParam().options);
  NextTokenObjective objective_{agent_};

  std::map<std::string, at::Tensor> take_gradients() {
    std::map<std::string, at::Tensor> all;
    for (const auto& item : agent_->named_parameters()) all[item.key()] = testing::gradient_of(item.value());
    agent_->zero_grad();
    return all;
  }
};
INSTANTIATE_TEST_SUITE_P(All, NextToken, ::testing::ValuesIn(testing::all_features()), testing::name_of_features);

// Read off the rows: a slot is asked for its next token with all logits, target by target.
TEST_P(NextToken, SumsAndCountsPerDomain) {
  const at::NoGradGuard no_grad;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    Random random(seed);
    const auto batch =
        sequencer_.lay_out(random_rows(random, tokenizer_, sequencer_, 4, kCapacity, kDomains), kCapacity, kDomains);
    const auto terms = objective_.loss(batch, kWeights);
    const auto log_p = at::log_softmax(at::linear(agent_->forward(batch), agent_->head()), -1).flatten(0, 1);
    std::vector<double> sums(kDomains, 0.0);
    std::vector<int64_t> counts(kDomains, 0);
    for (int64_t k = 0; k < batch.layout.num_targets(); ++k) {
      const auto domain = static_cast<size_t>(batch.layout.target_domains[k].item<int64_t>());
      sums[domain] -=
          log_p[batch.layout.target_slots[k].item<int64_t>()][batch.layout.targets[k].item<int64_t>()].item<double>();
      ++counts[domain];
    }
    EXPECT_EQ(terms.counts, counts);
    double weighted = 0.0;
    for (size_t d = 0; d < sums.size(); ++d) {
      EXPECT_NEAR(terms.sums[d], sums[d], 1e-12 * sums[d]);
      weighted += kWeights[d] * sums[d];
    }
    EXPECT_NEAR(terms.weighted_sum.item<double>(), weighted, 1e-12 * weighted);
  }
}

// Eight rows at once, and in micro-batches of different numbers of rows and targets whose terms are added before the one
// division: the same loss and the same gradients. An average of averages would differ.
TEST_P(NextToken, MicroBatchesAddUpToTheBatch) {
  Random random(11);
  const auto rows = random_rows(random, tokenizer_, sequencer_, 8, kCapacity, kDomains);
  const std::span all(rows);
  const auto normaliser = [](const std::vector<int64_t>& counts) {
    double sum = 0.0;
    for (size_t d = 0; d < counts.size(); ++d) sum += kWeights[d] * static_cast<double>(counts[d]);
    return sum;
  };
  const auto whole = objective_.loss(sequencer_.lay_out(all, kCapacity, kDomains), kWeights);
  const double total = normaliser(whole.counts);
  (whole.weighted_sum / total).backward();
  const auto expected = take_gradients();

  double loss = 0.0;
  std::vector<int64_t> counts(kDomains, 0);
  for (const auto& [begin, size] : {std::pair{0U, 3U}, {3U, 1U}, {4U, 4U}}) {
    const auto terms = objective_.loss(sequencer_.lay_out(all.subspan(begin, size), kCapacity, kDomains), kWeights);
    for (size_t d = 0; d < counts.size(); ++d) counts[d] += terms.counts[d];
    (terms.weighted_sum / total).backward();
    loss += terms.weighted_sum.item<double>() / total;
  }
  EXPECT_EQ(counts, whole.counts);
  EXPECT_NEAR(loss, whole.weighted_sum.item<double>() / total, 1e-12 * loss);
  for (const auto& [name, gradient] : take_gradients()) expect_close(gradient, expected.at(name), name, 1e4);
}

TEST_P(NextToken, EveryParameterLearnsSomething) {
  Random random(12);
  at::Tensor sum = at::zeros({}, at::kDouble);
  for (int64_t i = 0; i < 3; ++i) {
    const auto rows = random_rows(random, tokenizer_, sequencer_, 4, kCapacity);
    sum = sum + objective_.loss(sequencer_.lay_out(rows, kCapacity, 1), {1.0}).weighted_sum;
  }
  sum.backward();
  for (const auto& [name, gradient] : take_gradients()) EXPECT_GT(gradient.abs().max().item<double>(), 0.0) << name;
}

// Along random directions of all parameters at once.
TEST_P(NextToken, GradientsAreThoseOfFiniteDifferences) {
  Random random(13);
  const auto batch = sequencer_.lay_out(random_rows(random, tokenizer_, sequencer_, 2, kCapacity), kCapacity, 1);
  const auto value = [&] { return objective_.loss(batch, {1.0}).weighted_sum; };
  value().backward();
  const auto gradients = take_gradients();
  const at::NoGradGuard no_grad;
  for (int64_t i = 0; i < 3; ++i) {
    std::map<std::string, at::Tensor> direction;
    double slope = 0.0, norm = 0.0;
    for (const auto& item : agent_->named_parameters()) {
      direction[item.key()] = at::randn_like(item.value());
      slope += (direction[item.key()] * gradients.at(item.key())).sum().item<double>();
      norm += gradients.at(item.key()).square().sum().item<double>();
    }
    const auto move = [&](double step) {
      for (auto& item : agent_->named_parameters()) item.value().add_(direction[item.key()], step);
    };
    constexpr double kStep = 1e-6;
    move(kStep);
    const double above = value().item<double>();
    move(-2 * kStep);
    const double below = value().item<double>();
    move(kStep);
    EXPECT_NEAR((above - below) / (2 * kStep), slope, 1e-5 * std::sqrt(norm));
  }
}

TEST_P(NextToken, ABatchWithoutTargetsHasNoLoss) {
  LayoutBuilder builder(1, 4, kDomains);
  builder.begin_row();
  builder.begin_document();
  builder.add_id(1, {});
  const auto terms = objective_.loss(builder.finish(), kWeights);
  terms.weighted_sum.backward();
  EXPECT_EQ(terms.weighted_sum.item<double>(), 0.0);
  EXPECT_EQ(terms.sums, std::vector<double>(kDomains, 0.0));
  EXPECT_EQ(terms.counts, std::vector<int64_t>(kDomains, 0));
}

// In bfloat16 the loss is that of float32 up to the coarse rounding, and every gradient points the same way.
TEST_P(NextToken, ComputesInBfloat16UnderAutocast) {
  agent_->to(at::kFloat);
  Random random(14);
  const auto batch = sequencer_.lay_out(random_rows(random, tokenizer_, sequencer_, 3, kCapacity), kCapacity, 1);
  const auto exact = objective_.loss(batch, {1.0});
  exact.weighted_sum.backward();
  const auto expected = take_gradients();
  const auto coarse = [&] {
    const Bf16Scope autocast(true, at::kCPU);
    return objective_.loss(batch, {1.0});
  }();
  coarse.weighted_sum.backward();
  EXPECT_NEAR(coarse.sums[0], exact.sums[0], 0.05 * exact.sums[0]);
  for (const auto& [name, gradient] : take_gradients()) {
    const auto& e = expected.at(name);
    const double cosine = (gradient * e).sum().item<double>() / (gradient.norm() * e.norm()).item<double>();
    EXPECT_GT(cosine, 0.9) << name;
  }
}

TEST_P(NextToken, RefusesWeightsOfOtherDomains) {
  EXPECT_THROW(objective_.loss(sequencer_.lay_out(std::vector<std::vector<Sample>>(1), 4, kDomains), {1.0}), c10::Error);
}

}  // namespace
}  // namespace mugato
