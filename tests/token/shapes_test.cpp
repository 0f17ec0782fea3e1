// What goes into each tokenizer and what comes out, for people. Run with: ctest -L shapes
// Shape legend: E timesteps of an episode, T tokens of a timestep, C values of a token.
#include <gtest/gtest.h>

#include "mugato/token/continuous.h"
#include "mugato/token/discrete.h"
#include "mugato/token/image.h"
#include "mugato/token/text_tokenizer.h"
#include "mugato/token/vocabulary.h"

namespace mugato {
namespace {

using Shape = std::vector<int64_t>;

// The smallest tokenizer there is: one id a byte. A run has SentencePiece or byte-level BPE in its place.
class ByteTokenizer : public TextTokenizer {
 public:
  int64_t size() const override { return 256; }
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<uint8_t>(c));
    return ids;
  }
  std::string decode(const std::vector<int32_t>& ids) const override {
    std::string text;
    for (const int32_t id : ids) text += piece(id);
    return text;
  }
  std::string piece(int32_t id) const override { return {static_cast<char>(id)}; }
  std::string serialized() const override { return ""; }
};

// A mission of 9 characters is 9 ids. One timestep of text is (E,T,C) = (1,9,1).
TEST(ShapesText, OneIdATokenSoCIsOne) {
  const ByteTokenizer tokenizer;
  const std::vector<int32_t> ids = tokenizer.encode("go to red");
  const at::Tensor tokens = at::tensor(ids).view({1, -1, 1});
  EXPECT_EQ(tokens.sizes(), Shape({1, 9, 1}));
  EXPECT_EQ(tokenizer.decode(ids), "go to red");

  // Timesteps of different lengths are padded to the longest one when samples are collated: (E,T,C) = (2,9,1).
  at::Tensor two_steps = at::zeros({2, 9, 1}, at::kLong);
  two_steps[0].copy_(tokens[0]);
  two_steps[1].narrow(0, 0, 4).copy_(at::tensor(tokenizer.encode("stop")).view({4, 1}));
  EXPECT_EQ(two_steps.sizes(), Shape({2, 9, 1}));
}

// A picture of 256 x 256 is 16 x 16 patches of 16 x 16 pixels with 3 values each: (E,T,C) = (3,256,768), still bytes.
TEST(ShapesImage, APatchIsATokenOf768Bytes) {
  const at::Tensor pictures = at::zeros({3, 256, 256, 3}, at::kByte);  // (E,H,W,3)
  const at::Tensor patches = cut_patches(pictures, "camera");
  EXPECT_EQ(patches.sizes(), Shape({3, 256, 768}));
  EXPECT_EQ(patches.scalar_type(), at::kByte);

  // On the device that embeds them, P patches become floats in [-1, 1] / 4, planes apart: (P,3,16,16).
  const at::Tensor normalized = normalize_patches(patches.view({3 * 256, 768}));
  EXPECT_EQ(normalized.sizes(), Shape({768, 3, 16, 16}));
  EXPECT_EQ(normalized.scalar_type(), at::kFloat);
}

// A picture is padded, never squashed: 56 x 56 pixels lie in 4 x 4 patches. Grey pictures become RGB, alpha is dropped.
TEST(ShapesImage, SizesAreRoundedUpToWholePatches) {
  EXPECT_EQ(cut_patches(at::zeros({5, 56, 56, 3}, at::kByte), "camera").sizes(), Shape({5, 16, 768}));
  EXPECT_EQ(cut_patches(at::zeros({5, 84, 84}, at::kByte), "camera").sizes(), Shape({5, 36, 768}));
  EXPECT_EQ(cut_patches(at::zeros({5, 17, 40, 4}), "camera").sizes(), Shape({5, 6, 768}));
  EXPECT_EQ(join_patches(at::zeros({5, 6, 768}, at::kByte), 17, 40).sizes(), Shape({5, 17, 40, 3}));
}

// Where a patch lies is told by two intervals of 128 buckets, one for its row and one for its column (paper C.3).
TEST(ShapesImage, APatchOfA64PixelImageCovers32Buckets) {
  const BucketInterval first = patch_interval(0, 4), last = patch_interval(3, 4);
  EXPECT_EQ(first.begin, 0);
  EXPECT_EQ(first.end, 32);
  EXPECT_EQ(last.begin, 96);
  EXPECT_EQ(last.end, 128);
  EXPECT_EQ(last.mean(), 112);
}

// Four joint angles a timestep are four tokens: (E,4) floats become (E,4) bins, and (E,T,C) = (10,4,1) ids.
TEST(ShapesContinuous, OneValueIsOneToken) {
  const Vocabulary vocabulary;
  ContinuousCodec codec;
  codec.mu_law = true;
  const at::Tensor angles = at::zeros({10, 4});
  const at::Tensor bins = codec.encode(angles, "angles");
  EXPECT_EQ(bins.sizes(), Shape({10, 4}));
  const at::Tensor tokens = (bins + vocabulary.continuous().begin).unsqueeze(-1);
  EXPECT_EQ(tokens.sizes(), Shape({10, 4, 1}));
  EXPECT_EQ(vocabulary.describe(tokens[0][0][0].item<int64_t>()), "continuous bin 512");
  EXPECT_EQ(codec.decode(bins).sizes(), angles.sizes());
}

// One of 7 actions a timestep is one token: (E,) integers become (E,T,C) = (10,1,1) ids.
TEST(ShapesDiscrete, AScalarIsOneToken) {
  const Vocabulary vocabulary;
  DiscreteCodec codec;
  codec.num_values = {7};
  const at::Tensor offsets = codec.encode(at::full({10}, 6, at::kLong), "action");
  EXPECT_EQ(offsets.sizes(), Shape({10}));
  const at::Tensor tokens = (offsets + vocabulary.discrete().begin).view({10, 1, 1});
  EXPECT_EQ(tokens.sizes(), Shape({10, 1, 1}));
  EXPECT_EQ(vocabulary.describe(tokens[0][0][0].item<int64_t>()), "discrete 6");
}

// A grid of 7 x 7 cells, each an object, a colour and a state, is 49 tokens of 3 ids whose embeddings are summed:
// (E,7,7,3) integers become (E,T,C) = (10,49,3) ids. Object 1, colour 1 and state 1 are three different ids.
TEST(ShapesDiscrete, AGridOfCellsIs49TokensOf3Ids) {
  const Vocabulary vocabulary;
  DiscreteCodec codec;
  codec.num_values = {11, 6, 3};
  const at::Tensor grid = at::ones({10, 7, 7, 3}, at::kLong);
  const at::Tensor offsets = codec.encode(grid, "grid");
  EXPECT_EQ(offsets.sizes(), Shape({10, 7, 7, 3}));
  const at::Tensor tokens = (offsets + vocabulary.discrete().begin).view({10, 49, 3});
  EXPECT_EQ(tokens.sizes(), Shape({10, 49, 3}));
  EXPECT_EQ(vocabulary.describe(tokens[0][0][0].item<int64_t>()), "discrete 1");
  EXPECT_EQ(vocabulary.describe(tokens[0][0][1].item<int64_t>()), "discrete 12");
  EXPECT_EQ(vocabulary.describe(tokens[0][0][2].item<int64_t>()), "discrete 18");
}

}  // namespace
}  // namespace mugato
