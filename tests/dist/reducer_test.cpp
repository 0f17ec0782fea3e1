#include "mugato/dist/reducer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include "../ranks.h"
#include "message_of.h"
#include "mugato/core/random.h"

namespace mugato::dist {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Two ways in, as text and images have, and a layer that nobody uses.
struct TwoWays : torch::nn::Module {
  explicit TwoWays(uint64_t seed, int64_t width = 16) : never(3, 3), image(24, width), text(8, width), head(width, 4) {
    register_module("never", never);
    register_module("image", image);
    register_module("text", text);
    register_module("head", head);
    to(at::kDouble);
    const at::NoGradGuard no_grad;
    uint64_t index = 0;
    for (auto& parameter : parameters()) {
      at::manual_seed(hash_key(seed, index++, 0));
      parameter.copy_(at::randn_like(parameter));
    }
  }

  // The sum over the targets.
  at::Tensor forward(const at::Tensor& words, const at::Tensor& pixels) {
    auto hidden = text->forward(words);
    if (pixels.defined()) hidden = hidden + image->forward(pixels);
    return head->forward(at::gelu(hidden)).pow(2).sum();
  }

  GradientReducer::NamedParameters named() const {
    GradientReducer::NamedParameters all;
    for (const auto& item : named_parameters()) all.emplace_back(item.key(), item.value());
    return all;
  }

  torch::nn::Linear never, image, text, head;
};

struct Batch {
  at::Tensor words, pixels;
};

// The micro-batches of a step that all processes share out: of unequal numbers of targets, few of them with pixels.
std::vector<Batch> batches_of_step(uint64_t seed, int64_t step, at::ScalarType type) {
  Random random(hash_key(seed, static_cast<uint64_t>(step), 1));
  at::manual_seed(hash_key(seed, static_cast<uint64_t>(step), 2));
  std::vector<Batch> all;
  for (int64_t m = 0; m < 8; ++m) {
    const int64_t rows = random.between(1, 5);
    Batch batch{at::randn({rows, 8}, at::kDouble).to(type), {}};
    if (random.chance(0.3)) batch.pixels = at::randn({rows, 24}, at::kDouble).to(type);
    all.push_back(batch);
  }
  return all;
}

double targets_of(const std::vector<Batch>& batches) {
  double sum = 0.0;
  for (const auto& batch : batches) sum += static_cast<double>(batch.words.size(0));
  return sum;
}

std::vector<at::Tensor> gradients(const TwoWays& model) {
  std::vector<at::Tensor> all;
  for (const auto& parameter : model.parameters())
    all.push_back(parameter.grad().defined() ? parameter.grad().clone() : at::Tensor());
  return all;
}

// What one process makes of the whole step.
std::vector<at::Tensor> expected(TwoWays& model, const std::vector<Batch>& batches) {
  model.zero_grad();
  for (const auto& batch : batches) (model.forward(batch.words, batch.pixels) / targets_of(batches)).backward();
  return gradients(model);
}

// The same by all ranks: rank r takes the micro-batches r, r + size, ...
std::vector<at::Tensor> reduced(TwoWays& model, GradientReducer& reducer, const Group& group,
                                const std::vector<Batch>& batches) {
  model.zero_grad();
  std::vector<Batch> own;
  for (size_t m = 0; m < batches.size(); ++m)
    if (static_cast<int64_t>(m) % group.size() == group.rank()) own.push_back(batches[m]);
  for (size_t m = 0; m < own.size(); ++m) {
    const auto loss = model.forward(own[m].words, own[m].pixels) / targets_of(batches);
    if (m + 1 < own.size()) loss.backward();
    else reducer.backward(loss);
  }
  return gradients(model);
}

// The largest distance, relative to the gradient's norm; infinite where only one is defined.
double distance(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  double largest = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].defined() != b[i].defined()) return INFINITY;
    if (!a[i].defined()) continue;
    const double norm = a[i].norm().item<double>();
    largest = std::max(largest, (a[i] - b[i]).norm().item<double>() / (norm > 0.0 ? norm : 1.0));
  }
  return largest;
}

double worst_distance(Group& group, at::ScalarType type, const ReducerOptions& options) {
  TwoWays model(1), same(1);
  model.to(type);
  same.to(type);
  GradientReducer reducer(model.named(), group, options);
  double worst = 0.0;
  for (int64_t step = 0; step < 12; ++step) {
    const auto batches = batches_of_step(7, step, type);
    worst = std::max(worst, distance(expected(same, batches), reduced(model, reducer, group, batches)));
  }
  return worst;
}

TEST(DISABLED_Rank, EqualToOneProcess) {
  auto group = testing::join_ranks();
  // Many small buckets, and one large one.
  for (const double mib : {0.0005, 25.0})
    for (const bool views : {false, true}) {
      const ReducerOptions options{.bucket_mib = mib, .gradients_are_views = views};
      EXPECT_LT(worst_distance(group, at::kDouble, options), 1e-12);
      EXPECT_LT(worst_distance(group, at::kFloat, options), 32 * std::numeric_limits<float>::epsilon());
    }
  const double rounded = worst_distance(group, at::kFloat, {.compression = "bf16"});
  EXPECT_LT(rounded, static_cast<double>(group.size()) * 0x1p-8);
  EXPECT_GT(rounded, 1e-5);  // it did travel as bf16
  group.barrier();
}
TEST(Reducer, TwoProcessesAreEqualToOne) { testing::expect_all_passed(testing::run_ranks("EqualToOneProcess", 2)); }
TEST(Reducer, FourProcessesAreEqualToOne) { testing::expect_all_passed(testing::run_ranks("EqualToOneProcess", 4)); }

TEST(DISABLED_Rank, OneHasNothingToLearnFrom) {
  auto group = testing::join_ranks();
  TwoWays model(1), same(1);
  GradientReducer reducer(model.named(), group);
  for (int64_t step = 0; step < 4; ++step) {
    const auto batches = batches_of_step(9, step, at::kDouble);
    const auto whole = expected(same, batches);
    model.zero_grad();
    // All of the data on another rank from step to step.
    if (group.rank() == step % group.size()) {
      at::Tensor loss;
      for (const auto& batch : batches) {
        const auto part = model.forward(batch.words, batch.pixels) / targets_of(batches);
        loss = loss.defined() ? loss + part : part;
      }
      reducer.backward(loss);
    } else {
      reducer.backward({});
    }
    EXPECT_LT(distance(whole, gradients(model)), 1e-12);
  }
  group.barrier();
}
TEST(Reducer, AProcessMayHaveNothingToLearnFrom) {
  testing::expect_all_passed(testing::run_ranks("OneHasNothingToLearnFrom", 2));
}

TEST(DISABLED_Rank, StartsFromRankZero) {
  auto group = testing::join_ranks();
  TwoWays model(static_cast<uint64_t>(group.rank()));
  const GradientReducer reducer(model.named(), group);
  const TwoWays first(0);
  for (size_t i = 0; i < model.parameters().size(); ++i) EXPECT_TRUE(model.parameters()[i].equal(first.parameters()[i]));
  group.barrier();
}
TEST(Reducer, AllStartFromTheWeightsOfRankZero) { testing::expect_all_passed(testing::run_ranks("StartsFromRankZero", 2)); }

TEST(DISABLED_Rank, OtherModels) {
  auto group = testing::join_ranks();
  const TwoWays model(0, group.rank() == 0 ? 16 : 17);
  EXPECT_THAT(testing::message_of([&] { GradientReducer(model.named(), group); }),
              AllOf(HasSubstr("the models of rank 0 and rank 1 differ"), HasSubstr("[\"image.weight\",[16,24],\"Double\"]"),
                    HasSubstr("[\"image.weight\",[17,24],\"Double\"]")));
  group.barrier();
}
TEST(Reducer, TwoModelsAreRefused) { testing::expect_all_passed(testing::run_ranks("OtherModels", 2)); }

TEST(DISABLED_Rank, KilledInBackward) {
  auto group = testing::join_ranks();
  TwoWays model(1);
  GradientReducer reducer(model.named(), group);
  group.doing("step 3, gradients");
  const auto batches = batches_of_step(7, 0, at::kDouble);
  if (group.rank() == 1) {
    model.text->weight.register_hook([](const at::Tensor&) -> void { ::raise(SIGKILL); });
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  }
  EXPECT_THAT(
      testing::message_of([&] { reduced(model, reducer, group, batches); }, 1),
      AllOf(HasSubstr("adding up gradients"), HasSubstr("rank 1 (host "), HasSubstr("its last was: step 3, gradients")));
}
TEST(Reducer, AProcessKilledInTheBackwardPassIsNamed) {
  const auto ranks = testing::run_ranks("KilledInBackward", 2);
  EXPECT_EQ(ranks[0].code, 0) << ranks[0].output;
  EXPECT_EQ(ranks[1].code, 128 + SIGKILL);
}

TEST(Reducer, OfOneProcessIsThePlainBackwardPass) {
  Group group;
  TwoWays model(1), same(1);
  GradientReducer reducer(model.named(), group);
  const auto batches = batches_of_step(3, 0, at::kDouble);
  EXPECT_EQ(distance(expected(same, batches), reduced(model, reducer, group, batches)), 0.0);
}

}  // namespace
}  // namespace mugato::dist
