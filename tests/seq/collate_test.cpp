// Shape legend: B samples, E timesteps, T tokens of a field, C channels, D width.
#include <gtest/gtest.h>

#include "mugato/seq/batch.h"
#include "random_episodes.h"

namespace mugato {
namespace {

using testing::random_episode;
using testing::random_schema;
using testing::small_tokenizer;

TEST(Collate, ValidSaysWhatIsDataAndThePadIsZero) {
  const auto tokenizer = small_tokenizer();
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Random random(seed);
    const auto schema = random_schema(random);
    std::vector<Sample> samples;
    int64_t longest = 0;
    for (int64_t b = random.between(1, 4); b > 0; --b) {
      const auto episode = random_episode(random, *schema, random.between(1, 4));
      longest = std::max(longest, episode.num_steps);
      samples.push_back({schema, tokenizer.tokenize(*schema, episode)});
    }
    const auto batch = collate(samples);
    ASSERT_EQ(batch.fields.size(), schema->fields.size());
    for (size_t i = 0; i < batch.fields.size(); ++i) {
      const auto& [tokens, valid] = batch.fields[i];
      EXPECT_EQ(tokens.size(0), static_cast<int64_t>(samples.size()));
      EXPECT_EQ(tokens.size(1), longest);
      EXPECT_EQ(valid.sizes(), tokens.sizes().slice(0, 3));
      EXPECT_EQ(tokens.masked_select(~valid.unsqueeze(3)).count_nonzero().item<int64_t>(), 0);
      for (size_t b = 0; b < samples.size(); ++b) {  // what is valid is the sample's, in its order
        const auto& field = samples[b].timesteps.fields[i];
        for (int64_t e = 0; e < longest; ++e) {
          const auto picked = tokens[static_cast<int64_t>(b)][e].index({valid[static_cast<int64_t>(b)][e]});
          const auto expected = e < field.num_steps() ? field.tokens[e].index({field.valid[e]}) : picked.narrow(0, 0, 0);
          EXPECT_TRUE(at::equal(picked, expected));
        }
      }
    }
  }
}

TEST(Collate, TakesSamplesOfOneSchema) {
  const auto tokenizer = small_tokenizer();
  const auto schema = std::make_shared<Schema>(Schema{{{.name = "x", .modality = Modality::kContinuous}}});
  const auto other = std::make_shared<Schema>(*schema);
  const Episode episode{.fields = {{at::zeros({1})}}, .num_steps = 1, .id = "zero"};
  const auto timesteps = tokenizer.tokenize(*schema, episode);
  EXPECT_THROW(collate(std::vector<Sample>{{schema, timesteps}, {other, timesteps}}), c10::Error);
  EXPECT_THROW(collate({}), c10::Error);
}

TEST(ConcatenateAndFlatten, KeepsTimestepsTogether) {
  const auto first = at::arange(24, at::kFloat).view({2, 3, 2, 2}), second = -at::arange(12, at::kFloat).view({2, 3, 1, 2});
  const auto flat = concatenate_and_flatten(std::vector{first, second});
  ASSERT_EQ(flat.sizes(), at::IntArrayRef({2, 9, 2}));
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t e = 0; e < 3; ++e) {
      EXPECT_TRUE(at::equal(flat[b].narrow(0, 3 * e, 2), first[b][e]));
      EXPECT_TRUE(at::equal(flat[b][3 * e + 2], second[b][e][0]));
    }
}

}  // namespace
}  // namespace mugato
