// Dropout and stochastic depth.
// Shape legend: B rows, S slots, D width.
#include <gtest/gtest.h>

#include "mugato/nn/sequence_models/transformer.h"
#include "nn/random_batches.h"

namespace mugato {
namespace {

using testing::layout_of;

constexpr int64_t kRows = 3000, kSlots = 2, kWidth = 4;

// One block whose attention adds one to the first half of the width and whose feed-forward layer adds one to the second half,
// if nothing is dropped; what the block added to zeros, (B,S,D).
at::Tensor added(double dropout, double stochastic_depth, bool training) {
  at::manual_seed(3);
  Transformer transformer({.width = kWidth,
                           .blocks = 1,
                           .heads = 1,
                           .ffn_width = 4,
                           .dropout = dropout,
                           .stochastic_depth = stochastic_depth,
                           .context = kSlots});
  {
    const at::NoGradGuard no_grad;
    auto p = transformer.named_parameters();
    p["block0.out_weight"].zero_();
    p["block0.down_weight"].zero_();
    p["block0.out_bias"].narrow(0, 0, 2).fill_(1.0);
    p["block0.down_bias"].narrow(0, 2, 2).fill_(1.0);
  }
  transformer.train(training);
  const auto layout = layout_of(std::vector<std::vector<int64_t>>(kRows, {kSlots}), kSlots);
  at::Tensor result;
  transformer.forward({.x = at::zeros({kRows, kSlots, kWidth}),
                       .layout = layout,
                       .after_block =
                           [&](int64_t, const at::Tensor& x) {
                             result = x.detach();
                             return x;
                           }},
                      nullptr);
  return result;
}

// Of `draws` independent draws with probability p, the share is within five standard deviations.
void expect_share(double share, double p, int64_t draws) {
  EXPECT_NEAR(share, p, 5.0 * std::sqrt(p * (1.0 - p) / static_cast<double>(draws)));
}

double average(const at::Tensor& x) { return x.to(at::kDouble).mean().item<double>(); }

TEST(StochasticDepth, LeavesOutWholeSubLayersPerRowAndKeepsTheExpectation) {
  constexpr double kDrop = 0.3, kKept = 1.0 / (1.0 - kDrop);
  const auto x = added(0.0, kDrop, true);
  const auto attention = x.narrow(2, 0, 2).flatten(1), feed_forward = x.narrow(2, 2, 2).flatten(1);  // (B, S * 2)
  for (const auto& part : {attention, feed_forward}) {
    EXPECT_TRUE(at::equal(part, part.select(1, 0).unsqueeze(1).expand_as(part))) << "a row keeps or loses the whole sub-layer";
    EXPECT_TRUE((((part - kKept).abs() < 1e-6) | (part == 0)).all().item<bool>());
    expect_share(average(part.select(1, 0) == 0), kDrop, kRows);
  }
  const auto both = (attention.select(1, 0) == 0) & (feed_forward.select(1, 0) == 0);
  expect_share(average(both), kDrop * kDrop, kRows);  // sub-layers are drawn apart
}

TEST(Dropout, ScalesWhatItKeeps) {
  constexpr double kDrop = 0.25, kKept = 1.0 / (1.0 - kDrop);
  const auto x = added(kDrop, 0.0, true);
  EXPECT_TRUE((((x - kKept).abs() < 1e-6) | (x == 0)).all().item<bool>());
  expect_share(average(x == 0), kDrop, x.numel());
}

TEST(Dropout, AndStochasticDepthAreForTrainingOnly) {
  EXPECT_TRUE(at::equal(added(0.5, 0.5, false), at::ones({kRows, kSlots, kWidth})));
}

TEST(Dropout, FollowsTheSeed) {
  auto options = testing::small_agent_options();
  options.sequence.dropout = 0.2;
  options.sequence.stochastic_depth = 0.2;
  const auto agent = testing::make_small_agent(options);
  const auto layout = layout_of({{5, 3}, {8}}, 9);
  const auto x = at::randn({2, 9, 16}, at::kDouble);
  const auto run = [&](uint64_t seed) {
    at::manual_seed(seed);
    return agent->trunk().forward({.x = x, .layout = layout}, nullptr);
  };
  EXPECT_TRUE(at::equal(run(1), run(2))) << "evaluation";
  agent->train();
  EXPECT_TRUE(at::equal(run(1), run(1)));
  EXPECT_FALSE(at::allclose(run(1), run(2)));
}

}  // namespace
}  // namespace mugato
