// What runs on a GPU gives what the CPU gives. Fails where there is none (ctest label gpu).
// Shape legend: B rows, S slots, H heads, D size of a head.
#include <gtest/gtest.h>

#include "mugato/nn/attention.h"
#include "mugato/nn/objective.h"
#include "nn/closeness.h"
#include "nn/random_batches.h"

namespace mugato {
namespace {

using testing::expect_close;

// On every path: plain rows and packed ones, in float32 (masked) and bfloat16 (flash), against the formula in double.
TEST(GpuAttention, EqualsTheFormulaForwardAndBackward) {
  for (const auto type : {at::kFloat, at::kBFloat16})
    for (uint64_t seed = 0; seed < 8; ++seed) {
      SCOPED_TRACE(std::string(c10::toString(type)) + ", seed " + std::to_string(seed));
      Random random(seed);
      at::manual_seed(seed);
      const int64_t slots = random.between(1, 300), rows = random.between(1, 4), size = 16 * random.between(1, 8);
      const auto layout =
          seed % 2 == 0 ? testing::random_layout(random, rows, slots)
                        : testing::layout_of(std::vector<std::vector<int64_t>>(static_cast<size_t>(rows), {slots}), slots);
      const auto qkv = at::randn({rows, slots, 3, random.between(1, 4), size}).to(type);
      const auto weights = at::randn({rows, slots, qkv.size(3), size}).to(type);

      const auto exact = qkv.to(at::kDouble).requires_grad_();
      const auto expected = document_attention_reference(exact, layout.documents);
      (expected * weights.to(at::kDouble)).sum().backward();

      const auto on_device = qkv.to(at::kCUDA).requires_grad_();
      const auto out = document_attention(on_device, layout.documents, 0.0);
      (out * weights.to(at::kCUDA)).sum().backward();
      ASSERT_TRUE(out.is_cuda());
      expect_close(out.cpu(), expected, "output", type == at::kFloat ? 256 : 8);
      expect_close(on_device.grad().cpu(), exact.grad(), "gradient", type == at::kFloat ? 256 : 8);
    }
}

// Whatever a pad holds, it reaches nothing, on the flash path too.
TEST(GpuAttention, PadsAreZeroAndUnseen) {
  at::manual_seed(1);
  const auto layout = testing::layout_of({{3, 2}, {1}}, 8);
  auto qkv = at::randn({2, 8, 3, 2, 16}).to(at::kCUDA).to(at::kBFloat16);
  const auto out = document_attention(qkv, layout.documents, 0.0);
  qkv[0].narrow(0, 5, 3).fill_(std::nan(""));
  EXPECT_TRUE(at::equal(out, document_attention(qkv, layout.documents, 0.0)));
  EXPECT_EQ(out[1].narrow(0, 1, 7).count_nonzero().item<int64_t>(), 0);
}

// One step of every kind of agent: loss and all gradients, in double, so that rounding hides nothing.
TEST(GpuTraining, LossAndGradientsAreThoseOfTheCpu) {
  for (const auto& features : testing::all_features()) {
    SCOPED_TRACE(features.name);
    const auto tokenizer = testing::small_tokenizer();
    const Sequencer sequencer(tokenizer.vocabulary(), {});
    Random random(3);
    const auto batch = sequencer.lay_out(testing::random_rows(random, tokenizer, sequencer, 4, 100, 1), 100, 1);
    const auto gradients = [&](at::Device device) {
      const auto agent = testing::make_small_agent(features.options);
      agent->to(device);
      const auto terms = NextTokenObjective(agent).loss(batch.to(device), {1.0});
      terms.weighted_sum.backward();
      std::map<std::string, at::Tensor> all{{"loss", terms.weighted_sum.detach().cpu()}};
      for (const auto& item : agent->named_parameters()) all[item.key()] = testing::gradient_of(item.value()).cpu();
      return all;
    };
    const auto expected = gradients(at::kCPU), actual = gradients(at::kCUDA);
    for (const auto& [name, tensor] : expected) expect_close(actual.at(name), tensor, name, 1e5);
  }
}

}  // namespace
}  // namespace mugato
