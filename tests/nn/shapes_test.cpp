// The (B,E,T,C) contract, from samples to what a model reads, for people. Run with: ctest -L shapes
// Shape legend: B samples, E timesteps, T tokens of a field, C channels, D width.
#include <gtest/gtest.h>

#include "mugato/nn/embedder.h"
#include "random_episodes.h"

namespace mugato {
namespace {

using Shape = std::vector<int64_t>;

// Two samples of 2 and 3 timesteps; in each timestep a mission of 4 tokens, a picture of 256 patches, and one action.
std::vector<Sample> two_samples(const Tokenizer& tokenizer) {
  const auto schema = std::make_shared<Schema>(
      Schema{{{.name = "mission"},
              {.name = "image", .modality = Modality::kImage, .shape = {256, 256, 3}},
              {.name = "action", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {7}}}});
  std::vector<Sample> samples;
  for (const int64_t num_steps : {2, 3}) {
    Episode episode{.fields = std::vector<FieldValues>(3), .num_steps = num_steps, .id = "example"};
    episode.fields[0].text.assign(static_cast<size_t>(num_steps), "goto");
    episode.fields[1].values = at::randint(256, {num_steps, 256, 256, 3}, at::kByte);
    episode.fields[2].values = at::arange(num_steps);
    samples.push_back({schema, tokenizer.tokenize(*schema, episode)});
  }
  return samples;
}

TEST(ShapesOfTheContract, FieldsOfTwoSamplesAreConcatenatedAndFlattened) {
  const auto tokenizer = testing::small_tokenizer();
  const auto samples = two_samples(tokenizer);
  EXPECT_EQ(samples[0].timesteps.fields[0].tokens.sizes(), Shape({2, 4, 1}));      // mission: (E,T,C), C = 1 id
  EXPECT_EQ(samples[0].timesteps.fields[1].tokens.sizes(), Shape({2, 256, 768}));  // image: C = 768 bytes of a patch
  EXPECT_EQ(samples[1].timesteps.fields[2].tokens.sizes(), Shape({3, 1, 1}));      // action

  const Batch batch = collate(samples);  // the shorter sample is padded: 3 timesteps for both
  EXPECT_EQ(batch.fields[0].tokens.sizes(), Shape({2, 3, 4, 1}));
  EXPECT_EQ(batch.fields[1].tokens.sizes(), Shape({2, 3, 256, 768}));
  EXPECT_EQ(batch.fields[2].tokens.sizes(), Shape({2, 3, 1, 1}));
  EXPECT_EQ(batch.fields[1].valid.sizes(), Shape({2, 3, 256}));
  EXPECT_EQ(batch.fields[1].valid.sum().item<int64_t>(), (2 + 3) * 256) << "the pad is data nobody reads";

  Embedder embedder({.vocabulary = tokenizer.vocabulary().size(), .width = 768, .patch_channels = 32});
  const at::NoGradGuard no_grad;
  const PaddedView view = to_padded(embedder, batch);
  EXPECT_EQ(view.names, std::vector<std::string>({"mission", "image", "action"}));
  EXPECT_EQ(view.fields[0].sizes(), Shape({2, 3, 4, 768}));  // every token is a vector of the width D = 768 now
  EXPECT_EQ(view.fields[1].sizes(), Shape({2, 3, 256, 768}));
  EXPECT_EQ(view.fields[2].sizes(), Shape({2, 3, 1, 768}));
  EXPECT_EQ(at::cat(view.fields, 2).sizes(), Shape({2, 3, 261, 768}));  // 4 + 256 + 1 tokens a timestep
  EXPECT_EQ(view.sequence.sizes(), Shape({2, 783, 768}));               // 3 timesteps of 261 tokens

  // The first sample's third timestep is a pad: zeros.
  EXPECT_EQ(view.sequence[0].narrow(0, 2 * 261, 261).count_nonzero().item<int64_t>(), 0);
  EXPECT_GT(view.sequence[1].narrow(0, 2 * 261, 261).abs().sum(1).min().item<float>(), 0.0F);
  // Token 260 of a timestep is the action, whose vector is a row of the lookup table.
  const int64_t action = tokenizer.vocabulary().discrete().begin + 1;
  EXPECT_TRUE(at::equal(view.sequence[1][261 + 260], embedder.table()[action]));
}

// What a model reads in training are the same tokens without the pads: one row after the other, several documents a row.
TEST(ShapesOfTheContract, RowsHoldTheSameTokensWithoutThePads) {
  const auto tokenizer = testing::small_tokenizer();
  const std::vector<std::vector<Sample>> rows{two_samples(tokenizer)};
  const Sequencer sequencer(tokenizer.vocabulary(), {});
  const MicroBatch batch = sequencer.lay_out(rows, 1536, 1);
  EXPECT_EQ(batch.layout.ids.sizes(), Shape({1, 1536}));
  EXPECT_EQ(batch.layout.num_tokens(), (2 + 3) * (261 + 1)) << "each timestep has a separator before its action";
  EXPECT_EQ(batch.layout.num_targets(), 2 + 3) << "only actions are asked for";
  EXPECT_EQ(batch.patches.sizes(), Shape({(2 + 3) * 256, 768}));

  Embedder embedder({.vocabulary = tokenizer.vocabulary().size(), .width = 768, .context = 1536, .patch_channels = 32});
  const at::NoGradGuard no_grad;
  EXPECT_EQ(embedder.forward(batch).sizes(), Shape({1, 1536, 768}));  // (B,S,D)
}

}  // namespace
}  // namespace mugato
