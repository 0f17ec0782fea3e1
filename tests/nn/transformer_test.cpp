// Shape legend: B rows, S slots, D width.
#include "mugato/nn/sequence_models/transformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mugato/core/error.h"
#include "nn/closeness.h"
#include "nn/random_batches.h"

namespace mugato {
namespace {

using testing::expect_close;
using testing::layout_of;
using testing::shake;

constexpr int64_t kWidth = 8, kFfn = 12;

SequenceModelOptions one_block(const std::string& activation) {
  return {.width = kWidth, .blocks = 1, .heads = 2, .ffn_width = kFfn, .activation = activation, .context = 16};
}

std::shared_ptr<Transformer> make(const SequenceModelOptions& options, uint64_t seed = 0) {
  at::manual_seed(seed);
  auto transformer = std::make_shared<Transformer>(options);
  shake(*transformer);
  transformer->to(at::kDouble);
  transformer->eval();
  return transformer;
}

at::Tensor parameter(Transformer& transformer, const std::string& name) {
  return transformer.named_parameters()[name].detach();
}

// What goes into the final norm.
at::Tensor before_norm(Transformer& transformer, const at::Tensor& x, const TokenLayout& layout) {
  at::Tensor result;
  transformer.forward({.x = x,
                       .layout = layout,
                       .after_block =
                           [&](int64_t, const at::Tensor& y) {
                             result = y;
                             return y;
                           }},
                      nullptr);
  return result;
}

// With attention's weights at zero its sub-layer adds a constant: the feed-forward layer has to see x plus the constant. In
// gato-tf it saw x.
TEST(Transformer, FeedForwardReadsWhatAttentionWrote) {
  const auto transformer = make(one_block("gelu"));
  const auto layout = layout_of({{5}}, 5);
  const auto x = at::randn({1, 5, kWidth}, at::kDouble), constant = at::randn({kWidth}, at::kDouble);
  parameter(*transformer, "block0.out_weight").zero_();
  parameter(*transformer, "block0.out_bias").copy_(constant);
  const auto written = before_norm(*transformer, x, layout);
  parameter(*transformer, "block0.out_bias").zero_();
  expect_close(written, before_norm(*transformer, x + constant, layout), "x after the block");
  EXPECT_FALSE(at::allclose(written, before_norm(*transformer, x, layout) + constant));
}

// GEGLU multiplies a value by a gate. In gato-tf it was GELU under another name.
TEST(Transformer, GegluIsGated) {
  const auto gated = make(one_block("geglu")), plain = make(one_block("gelu"));
  for (const auto& item : plain->named_parameters())
    if (!item.key().starts_with("block0.up")) parameter(*gated, item.key()).copy_(item.value());
  const auto up_weight = parameter(*gated, "block0.up_weight"), up_bias = parameter(*gated, "block0.up_bias");
  ASSERT_EQ(up_weight.sizes(), at::IntArrayRef({2 * kFfn, kWidth}));
  up_weight.narrow(0, kFfn, kFfn).copy_(parameter(*plain, "block0.up_weight"));
  up_bias.narrow(0, kFfn, kFfn).copy_(parameter(*plain, "block0.up_bias"));
  up_weight.narrow(0, 0, kFfn).zero_();
  const auto layout = layout_of({{4}}, 4);
  const auto x = at::randn({1, 4, kWidth}, at::kDouble);
  const auto attended = [&](Transformer& transformer) {  // the feed-forward layer's last product left out
    const auto weight = parameter(transformer, "block0.down_weight"), kept = weight.clone();
    weight.zero_();
    const auto y = before_norm(transformer, x, layout);
    weight.copy_(kept);
    return y;
  };
  const auto base = attended(*gated);
  up_bias.narrow(0, 0, kFfn).fill_(1.0);  // a value of one: GELU of the gate
  expect_close(before_norm(*gated, x, layout), before_norm(*plain, x, layout), "value of one");
  up_bias.narrow(0, 0, kFfn).fill_(3.0);
  expect_close(before_norm(*gated, x, layout) - base, 3.0 * (before_norm(*plain, x, layout) - base), "value of three");
  up_bias.narrow(0, 0, kFfn).zero_();
  expect_close(before_norm(*gated, x, layout), base, "value of zero");
}

TEST(Transformer, SplitGegluHasHalfTheHiddenWidth) {
  auto options = one_block("geglu");
  options.geglu_split = true;
  const auto transformer = make(options);
  EXPECT_EQ(parameter(*transformer, "block0.up_weight").size(0), kFfn);
  EXPECT_EQ(parameter(*transformer, "block0.down_weight").size(1), kFfn / 2);
}

TEST(Transformer, GlobalPositionsAreThoseInTheDocument) {
  auto options = one_block("gelu");
  const auto without = make(options);
  options.global_positions = true;
  const auto with = make(options);
  for (const auto& item : without->named_parameters()) parameter(*with, item.key()).copy_(item.value());
  const auto x = at::randn({2, 9, kWidth}, at::kDouble);
  const auto positions = parameter(*with, "positions");
  auto shifted = x.clone();  // documents of 4, 3 and 9 tokens
  shifted[0].narrow(0, 0, 4) += positions.narrow(0, 0, 4);
  shifted[0].narrow(0, 4, 3) += positions.narrow(0, 0, 3);
  shifted[1] += positions.narrow(0, 0, 9);
  const auto layout = layout_of({{4, 3}, {9}}, 9);
  const auto of_documents = (layout.document >= 0).unsqueeze(2);
  expect_close(with->forward({.x = x, .layout = layout}, nullptr).masked_fill(~of_documents, 0),
               without->forward({.x = shifted, .layout = layout}, nullptr).masked_fill(~of_documents, 0), "hidden");
}

TEST(Transformer, TheResidualStartsSmallInDeepModels) {
  at::manual_seed(1);
  SequenceModelOptions options{.width = 64, .blocks = 8, .heads = 4, .ffn_width = 128, .context = 16};
  Transformer transformer(options);
  const auto x = at::randn({1, 16, 64});
  const auto after = before_norm(transformer, x, layout_of({{16}}, 16));
  EXPECT_LT((after - x).norm().item<double>(), 4.0 * x.norm().item<double>());
  EXPECT_GT((after - x).norm().item<double>(), 0.1 * x.norm().item<double>());
}

TEST(Transformer, RefusesOptionsThatDoNotGoTogether) {
  const auto refused = [](const SequenceModelOptions& options, const char* what) {
    EXPECT_THAT([&] { Transformer transformer(options); }, ::testing::ThrowsMessage<Error>(::testing::HasSubstr(what)));
  };
  auto options = one_block("relu");
  refused(options, "model.activation is 'relu'");
  options = one_block("gelu");
  options.heads = 3;
  refused(options, "model.width 8 is not a multiple of model.heads 3");
  options = one_block("geglu");
  options.geglu_split = true;
  options.ffn_width = 7;
  refused(options, "model.ffn_width 7");
  for (const char* activation : {"gelu", "gelu_tanh"}) {
    options = one_block(activation);
    options.geglu_split = true;
    refused(options, "model.geglu_split is true, and model.activation is 'gelu");
  }
}

TEST(Transformer, WithoutBlocksRefusesAHook) {
  auto options = one_block("gelu");
  options.blocks = 0;
  const auto transformer = make(options);
  const auto layout = layout_of({{4}}, 4);
  const auto x = at::randn({1, 4, kWidth}, at::kDouble);
  EXPECT_EQ(transformer->forward({.x = x, .layout = layout}, nullptr).sizes(), x.sizes());
  EXPECT_THAT([&] { before_norm(*transformer, x, layout); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("hint: set model.blocks")));
}

TEST(Transformer, ACacheReachesAsFarAsLearnedPositions) {
  auto options = one_block("gelu");
  EXPECT_NO_THROW(make(options)->make_cache(1, 17));
  options.global_positions = true;
  EXPECT_NO_THROW(make(options)->make_cache(1, 16));
  EXPECT_THAT([&] { make(options)->make_cache(1, 17); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("a cache of 17 tokens, and learned positions for 16")));
}

TEST(SequenceModelRegistry, BuildsByNameAndNamesTheNearest) {
  SequenceModelRegistry registry("sequence model");
  register_builtins(registry);
  EXPECT_EQ(registry.build("transformer", one_block("gelu"))->num_blocks(), 1);
  EXPECT_THAT([&] { registry.build("transfomer", one_block("gelu")); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("did you mean 'transformer'?")));
}

}  // namespace
}  // namespace mugato
