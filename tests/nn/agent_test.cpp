// Shape legend: B rows, S slots, D width, V vocabulary, K targets.
#include "mugato/nn/agent.h"

#include <gtest/gtest.h>

#include "mugato/nn/objective.h"
#include "nn/random_batches.h"

namespace mugato {
namespace {

constexpr int64_t kWidth = 128, kVocabulary = 1000, kRows = 8, kSlots = 256;

std::shared_ptr<Agent> make(bool tied_head, double init_std) {
  AgentOptions options;
  options.sequence = {.width = kWidth, .blocks = 2, .heads = 4, .ffn_width = 256, .context = kSlots};
  options.embedder = {.vocabulary = kVocabulary, .patch_channels = 32, .patch_stride = 8};
  options.tied_head = tied_head;
  options.init_std = init_std;
  SequenceModelRegistry registry("sequence model");
  register_builtins(registry);
  at::manual_seed(6);
  return make_agent(options, registry);
}

// Rows of ids without any order in them; each but the first of a row is a target.
MicroBatch random_ids() {
  Random random(6);
  LayoutBuilder builder(kRows, kSlots, 1);
  for (int64_t b = 0; b < kRows; ++b) {
    builder.begin_row();
    builder.begin_document();
    for (int64_t i = 0; i < kSlots; ++i) builder.add_id(random.below(kVocabulary), {.target = true});
  }
  return builder.finish();
}

double first_loss(const std::shared_ptr<Agent>& agent) {
  const at::NoGradGuard no_grad;
  const auto terms = NextTokenObjective(agent).loss(random_ids(), {1.0});
  return terms.sums[0] / static_cast<double>(terms.counts[0]);
}

class AtTheStart : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Heads, AtTheStart, ::testing::Bool(), [](const auto& test) { return test.param ? "tied" : "untied"; });

// A hidden state of D elements of size one makes normal logits with the variance s^2 D, s that of the head's rows. Their
// log-sum-exp lies half the variance above log V; the logits of the targets average out over V rows of the head, and a token's
// own row, which a tied head finds in the hidden state again, is one of V terms.
TEST_P(AtTheStart, TheLossIsThatOfGuessing) {
  const double variance = kHeadStd * kHeadStd * kWidth, of_targets = std::sqrt(variance / kVocabulary);
  EXPECT_NEAR(first_loss(make(GetParam(), 0.0)), std::log(kVocabulary) + variance / 2.0, variance / 2.0 + 5.0 * of_targets);
}

TEST(TheTable, StartsSmallWhereItIsTheHead) {
  const auto std_of_table = [](bool tied_head, double init_std) {
    return make(tied_head, init_std)->embedder().table().std().item<double>();
  };
  // The standard deviation of n normal numbers is off by 1 / sqrt(2 n) of itself.
  const double share = 5.0 / std::sqrt(2.0 * kVocabulary * kWidth);
  EXPECT_NEAR(std_of_table(false, 0.0), 1.0, share);
  EXPECT_NEAR(std_of_table(true, 0.0), kHeadStd, share * kHeadStd);
  EXPECT_NEAR(std_of_table(true, 0.5), 0.5, share * 0.5) << "what is asked for wins";
}

}  // namespace
}  // namespace mugato
