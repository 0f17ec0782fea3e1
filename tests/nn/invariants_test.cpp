// The design's invariants: what a document's hidden states and losses depend on, and what they do not.
// Shape legend: B rows, S slots, D width, V vocabulary.
#include <gtest/gtest.h>

#include "mugato/nn/objective.h"
#include "nn/closeness.h"
#include "nn/random_batches.h"

namespace mugato {
namespace {

using testing::alone;
using testing::expect_close;
using testing::Features;
using testing::layout_of;
using testing::make_small_agent;
using testing::random_layout;
using testing::random_rows;
using testing::small_tokenizer;

class Invariants : public ::testing::TestWithParam<Features> {
 protected:
  const Tokenizer tokenizer_ = small_tokenizer();
  const Sequencer sequencer_{tokenizer_.vocabulary(), {}};
  const std::shared_ptr<Agent> agent_ = make_small_agent(GetParam().options, GetParam().type);
  const double epsilon_ = testing::epsilon_of(GetParam().type);
};
INSTANTIATE_TEST_SUITE_P(All, Invariants, ::testing::ValuesIn(testing::all_features()), testing::name_of_features);
INSTANTIATE_TEST_SUITE_P(Kernel, Invariants, ::testing::ValuesIn(testing::float_features()), testing::name_of_features);

at::Tensor logits_of(Agent& agent, const MicroBatch& batch) { return at::linear(agent.forward(batch), agent.head()); }

// A document's logits in a batch equal those it has alone: whatever is in front of it in its row, in other rows, behind it
// as padding, and however long the rows are. μGATO's pads lay in the middle and were seen.
TEST_P(Invariants, LogitsDoNotDependOnBatchPaddingPackingRowOrCapacity) {
  const at::NoGradGuard no_grad;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const int64_t capacity = random.between(60, testing::kTestContext);
    const auto rows = random_rows(random, tokenizer_, sequencer_, 3, capacity);
    const auto batch = sequencer_.lay_out(rows, capacity, 1);
    const auto logits = logits_of(*agent_, batch);
    size_t document = 0;
    for (const auto& row : rows)
      for (const auto& sample : row) {
        const auto& span = batch.layout.documents[document++];
        const auto there = logits[span.row].narrow(0, span.begin, span.length);
        expect_close(logits_of(*agent_, alone(sequencer_, sample))[0], there, "alone");
        expect_close(logits_of(*agent_, alone(sequencer_, sample, 9))[0].narrow(0, 0, span.length), there, "alone with pads");
      }
  }
}

// The same documents in another order and in rows of another length: each one's losses and the sum of all stay.
TEST_P(Invariants, LossesDoNotDependOnHowDocumentsArePacked) {
  NextTokenObjective objective(agent_);
  for (uint64_t seed = 20; seed < 26; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    auto rows = random_rows(random, tokenizer_, sequencer_, 3, 60, 2);
    const auto packed = objective.loss(sequencer_.lay_out(rows, 60, 2), {1.0, 0.5});
    std::vector<std::vector<Sample>> apart;
    for (const auto& row : rows)
      for (const auto& sample : row) apart.push_back({sample});
    random.shuffle(std::span(apart));
    const auto separate = objective.loss(sequencer_.lay_out(apart, 70, 2), {1.0, 0.5});
    EXPECT_EQ(packed.counts, separate.counts);
    for (size_t d = 0; d < 2; ++d) EXPECT_NEAR(packed.sums[d], separate.sums[d], 256 * epsilon_ * std::abs(packed.sums[d]));
    agent_->zero_grad();
    packed.weighted_sum.backward();
    std::map<std::string, at::Tensor> gradients;
    for (const auto& item : agent_->named_parameters()) gradients[item.key()] = testing::gradient_of(item.value());
    agent_->zero_grad();
    separate.weighted_sum.backward();
    for (const auto& item : agent_->named_parameters())
      expect_close(testing::gradient_of(item.value()), gradients[item.key()], item.key(), 1e4);
  }
}

// Another token in one place: nothing before it and no other document changes, the token's own output does, and so does what
// comes after it in its document.
TEST_P(Invariants, ATokenChangesNothingBeforeItAndNoOtherDocument) {
  const at::NoGradGuard no_grad;
  int64_t changed_patches = 0, seen_later = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    auto batch = sequencer_.lay_out(random_rows(random, tokenizer_, sequencer_, 2, 80), 80, 1);
    if (batch.layout.num_tokens() == 0) continue;
    const auto before = agent_->forward(batch).flatten(0, 1);
    const int64_t n = random.below(batch.layout.num_tokens()), num_ids = batch.layout.id_values.size(0);
    const int64_t slot = batch.layout.slots[n].item<int64_t>();
    if (n < num_ids) {
      batch.layout.id_values[n] = (batch.layout.id_values[n] + 1).remainder(tokenizer_.vocabulary().size());
    } else {  // a patch of its own
      batch.patches = at::cat({batch.patches, at::randint(256, {1, kPatchBytes}, at::kByte)});
      batch.layout.patch_index[n - num_ids] = batch.patches.size(0) - 1;
      ++changed_patches;
    }
    const auto after = agent_->forward(batch).flatten(0, 1);
    const int64_t row = slot / 80;
    for (const auto& span : batch.layout.documents)
      for (int64_t i = 0; i < span.length; ++i) {
        const int64_t other = span.row * 80 + span.begin + i;
        const bool same_document = span.row == row && batch.layout.document[row][slot % 80].item<int64_t>() ==
                                                          batch.layout.document[row][other % 80].item<int64_t>();
        const double change = (after[other] - before[other]).abs().max().item<double>();
        const bool may_see = same_document && other >= slot, seen = change > 1024 * epsilon_;
        seen_later += seen && other > slot;
        if (may_see && !seen && other != slot && GetParam().type == at::kFloat) continue;  // a small change, lost in rounding
        EXPECT_EQ(seen, may_see) << "slot " << other << " and a change of " << change << " in slot " << slot;
      }
  }
  EXPECT_GT(changed_patches, 0);
  EXPECT_GT(seen_later, 0);
}

// The same of the trunk by its derivatives: they are exactly zero where nothing may be seen, and nowhere else.
TEST_P(Invariants, GradientsReachTheDocumentUpToTheSlotAndNothingElse) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const auto layout = random_layout(random, 2, 20);
    if (layout.documents.empty()) continue;
    const auto& span = layout.documents[static_cast<size_t>(random.below(static_cast<int64_t>(layout.documents.size())))];
    const int64_t slot = span.begin + random.below(span.length);
    const auto x = at::randn({2, 20, agent_->trunk().width()}, GetParam().type).requires_grad_();
    const auto hidden = agent_->trunk().forward({.x = x, .layout = layout}, nullptr);
    (hidden[span.row][slot] * at::randn({x.size(2)}, GetParam().type)).sum().backward();
    const auto reached = x.grad().abs().sum(2) > 0;  // (B,S)
    auto expected = at::zeros({2, 20}, at::kBool);
    expected[span.row].narrow(0, span.begin, slot - span.begin + 1).fill_(true);
    EXPECT_TRUE(at::equal(reached, expected)) << reached << expected;
  }
}

// A hook sees every block's result and may replace it.
TEST_P(Invariants, TheHookIsCalledAfterEachBlock) {
  const auto layout = layout_of({{3, 2}}, 6);
  const auto x = at::randn({1, 6, agent_->trunk().width()}, GetParam().type);
  std::vector<int64_t> blocks;
  const auto plain = agent_->trunk().forward({.x = x, .layout = layout}, nullptr);
  const auto same = agent_->trunk().forward({.x = x,
                                             .layout = layout,
                                             .after_block =
                                                 [&](int64_t block, const at::Tensor& y) {
                                                   blocks.push_back(block);
                                                   return y;
                                                 }},
                                            nullptr);
  EXPECT_EQ(blocks, std::vector<int64_t>({0, 1}));
  EXPECT_TRUE(at::equal(plain, same));
  const auto other = agent_->trunk().forward(
      {.x = x, .layout = layout, .after_block = [](int64_t, const at::Tensor& y) { return y.neg(); }}, nullptr);
  EXPECT_FALSE(at::allclose(plain, other));
}

// A document may fill the whole context: NEKO's full-length text was one token longer than its mask.
TEST_P(Invariants, ADocumentAsLongAsTheContextFits) {
  const auto schema = std::make_shared<Schema>(Schema{{{.name = "text", .role = Role::kText}}});
  Random random(4);
  const std::string text = testing::random_text(random, testing::kTestContext - 2, testing::kTestContext - 2);
  const Episode episode{.fields = {{.text = {text}}}, .num_steps = 1, .id = "long"};
  const Sample sample{schema, tokenizer_.tokenize(*schema, episode)};
  ASSERT_EQ(sequencer_.num_tokens(sample), testing::kTestContext);
  const auto batch = alone(sequencer_, sample);
  EXPECT_EQ(batch.layout.num_targets(), testing::kTestContext - 1);
  NextTokenObjective objective(agent_);
  const auto terms = objective.loss(batch, {1.0});
  terms.weighted_sum.backward();
  EXPECT_TRUE(std::isfinite(terms.sums[0]));
  EXPECT_THROW(agent_->forward(alone(sequencer_, sample, 1)), c10::Error) << "a row longer than the context";
}

}  // namespace
}  // namespace mugato
