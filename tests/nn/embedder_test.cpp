// Shape legend: B rows, S slots, D width, U patches, G side of the grid of positions in a patch.
#include "mugato/nn/embedder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mugato/core/error.h"
#include "mugato/nn/objective.h"
#include "nn/closeness.h"
#include "nn/random_batches.h"

namespace mugato {
namespace {

using testing::expect_close;
using ::testing::HasSubstr;
using testing::random_rows;
using ::testing::ThrowsMessage;

EmbedderOptions small_options(const std::string& patch = "paper", const std::string& local = "paper") {
  auto options = testing::small_agent_options().embedder;
  options.width = 16;
  options.context = testing::kTestContext;
  options.patch_position = patch;
  options.local_position = local;
  options.init_std = 0.02;
  return options;
}

std::shared_ptr<Embedder> make_embedder(const EmbedderOptions& options) {
  at::manual_seed(1);
  auto embedder = std::make_shared<Embedder>(options);
  testing::shake(*embedder);
  embedder->to(at::kDouble);
  return embedder;
}

MicroBatch random_batch(uint64_t seed) {
  Random random(seed);
  const Sequencer sequencer(testing::small_vocabulary(), {});
  const auto rows = random_rows(random, testing::small_tokenizer(), sequencer, 2, 90);
  std::vector<Random> randoms{Random(seed), Random(seed + 1000)};
  return sequencer.lay_out(rows, 90, 1, randoms);
}

// Every patch of the batch, repeated ones too, embedded on its own: (P,D).
at::Tensor embed_each(Embedder& embedder, const MicroBatch& batch) {
  const auto patches = batch.patches.index_select(0, batch.layout.patch_index);
  const BatchField field{patches.view({1, 1, -1, kPatchBytes}), at::ones({1, 1, patches.size(0)}, at::kBool)};
  return embedder.embed_field(field, Modality::kImage)[0][0];
}

// The sum that each slot should hold, slot by slot.
at::Tensor by_hand(Embedder& embedder, const MicroBatch& batch) {
  const auto& l = batch.layout;
  const auto p = embedder.named_parameters();
  const auto& options = embedder.options();
  auto x = at::zeros({l.rows * l.capacity, options.width}, at::kDouble);
  const auto add = [&](int64_t slot, const at::Tensor& vector) { x[slot] += vector; };
  const auto item = [](const at::Tensor& list, int64_t i) { return list[i].item<int64_t>(); };
  const int64_t num_ids = l.id_values.size(0);
  for (int64_t i = 0; i < num_ids; ++i) add(item(l.slots, i), p["table"][item(l.id_values, i)]);
  for (int64_t i = 0; i < l.cell_index.size(0); ++i)
    add(item(l.slots, item(l.cell_index, i)), p["table"][item(l.cell_values, i)]);
  const auto each = l.patch_index.size(0) > 0 ? embed_each(embedder, batch) : at::Tensor();
  for (int64_t i = 0; i < l.patch_index.size(0); ++i) {
    const int64_t slot = item(l.slots, num_ids + i);
    add(slot, each[i]);
    if (options.patch_position == "paper") {
      add(slot, p["patch_row"][item(l.patch_row, i)]);
      add(slot, p["patch_column"][item(l.patch_column, i)]);
    } else if (options.patch_position == "vit") {
      add(slot, p["patch_number"][item(l.patch_number, i)]);
    }
  }
  const auto local = l.local.flatten();
  for (int64_t i = 0; i < l.num_tokens() && options.local_position == "paper"; ++i)
    add(item(l.slots, i), p["local"][item(local, item(l.slots, i)) + 1]);  // row 0 is that of actions
  return x.view({l.rows, l.capacity, options.width});
}

class Switches : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};
INSTANTIATE_TEST_SUITE_P(PatchAndLocal, Switches,
                         ::testing::Combine(::testing::Values("paper", "vit", "none"), ::testing::Values("paper", "none")));

// Repeated patches are embedded once and gathered; values and gradients are those of embedding every token on its own.
TEST_P(Switches, ASlotIsTheSumOfItsValuePatchAndPositions) {
  const auto& [patch, local] = GetParam();
  auto embedder = make_embedder(small_options(patch, local));
  int64_t repeated = 0, cells = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(seed);
    const auto batch = random_batch(seed);
    repeated += batch.layout.patch_index.size(0) - batch.patches.size(0);
    cells += batch.layout.cell_index.size(0);
    const auto x = embedder->forward(batch), expected = by_hand(*embedder, batch);
    expect_close(x, expected, "embedding");
    EXPECT_EQ(x.masked_select((batch.layout.ids == TokenLayout::kPad).unsqueeze(2)).count_nonzero().item<int64_t>(), 0);
    const auto weights = at::randn_like(x);
    const auto gradients = [&](const at::Tensor& y) {
      embedder->zero_grad();
      (y * weights).sum().backward();
      std::map<std::string, at::Tensor> all;
      for (const auto& item : embedder->named_parameters()) all[item.key()] = testing::gradient_of(item.value());
      return all;
    };
    const auto ours = gradients(x), theirs = gradients(expected);
    for (const auto& [name, gradient] : theirs) expect_close(ours.at(name), gradient, name, 2048);
  }
  EXPECT_GT(repeated, 0);
  EXPECT_GT(cells, 0);
}

TEST_P(Switches, OnlyThePositionsAskedForAreLearned) {
  const auto& [patch, local] = GetParam();
  const auto parameters = Embedder(small_options(patch, local)).named_parameters();
  EXPECT_EQ(parameters.contains("patch_row"), patch == "paper");
  EXPECT_EQ(parameters.contains("patch_column"), patch == "paper");
  EXPECT_EQ(parameters.contains("patch_number"), patch == "vit");
  EXPECT_EQ(parameters.contains("local"), local == "paper");
}

TEST(Embedder, ActionTokensShareOnePositionAndOthersHaveTheirOwn) {
  auto embedder = make_embedder(small_options());
  LayoutBuilder builder(1, 8, 1);
  builder.begin_row();
  builder.begin_document();
  for (int64_t e = 0; e < 2; ++e) {
    builder.begin_timestep(e);
    for (const bool action : {false, false, true, true}) builder.add_id(5, {.action = action});
  }
  const auto x = embedder->forward(builder.finish())[0];
  for (const int64_t slot : {3, 6, 7}) EXPECT_TRUE(at::equal(x[slot], x[2])) << slot;
  EXPECT_TRUE(at::equal(x[0], x[4])) << "local positions begin anew in each timestep";
  EXPECT_TRUE(at::equal(x[1], x[5]));
  EXPECT_FALSE(at::allclose(x[0], x[1]));
  EXPECT_FALSE(at::allclose(x[0], x[2]));
}

TEST(Embedder, PadsOfABatchOfFieldsAreZero) {
  auto embedder = make_embedder(small_options());
  auto valid = at::ones({1, 2, 3}, at::kBool);
  valid[0][1][2] = false;
  const auto x = embedder->embed_field({at::zeros({1, 2, 3, 1}, at::kLong), valid}, Modality::kText);
  EXPECT_TRUE(at::equal(x.abs().sum(3) > 0, valid));
}

// The v2 block by its definition: a stem that cuts the patch into squares, then twice GroupNorm, GELU, 3x3 convolution round a
// skip, then the projection. Convolutions are written as products of unfolded squares.
at::Tensor conv3x3(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const int64_t side = x.size(2);
  const auto padded = at::constant_pad_nd(x, {1, 1, 1, 1});
  auto y = bias.view({1, -1, 1, 1}).expand({x.size(0), -1, side, side});
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t j = 0; j < 3; ++j)
      y = y + at::einsum("oc,ncyx->noyx", {weight.select(3, j).select(2, i), padded.narrow(2, i, side).narrow(3, j, side)});
  return y;
}

at::Tensor norm_gelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto groups = x.reshape({x.size(0), 32, -1});
  const auto centred = groups - groups.mean(2, true);
  const auto normed = (centred / (centred.square().mean(2, true) + 1e-5).sqrt()).view_as(x);
  const auto y = normed * weight.view({1, -1, 1, 1}) + bias.view({1, -1, 1, 1});
  return y * 0.5 * (1.0 + at::erf(y / std::sqrt(2.0)));
}

TEST(PatchEmbedder, IsOneResNetBlockOfTheSecondVersion) {
  for (const int64_t stride : {4, 8}) {
    auto options = small_options();
    options.patch_stride = stride;
    options.patch_channels = 64;
    at::manual_seed(2);
    PatchEmbedder embedder(options);
    testing::shake(embedder, 0.05);
    embedder.to(at::kDouble);
    const auto p = embedder.named_parameters();
    const auto patches = at::randint(256, {5, kPatchBytes}, at::kByte);
    const int64_t side = 16 / stride;
    // (U,rows,columns,3) bytes to [-1,1] / 4, then squares (U, G, G, 3 * stride * stride).
    const auto pixels = (patches.to(at::kDouble) / 255.0 * 2.0 - 1.0) / 4.0;
    const auto squares =
        pixels.view({5, side, stride, side, stride, 3}).permute({0, 1, 3, 5, 2, 4}).reshape({5, side, side, -1});
    const auto stem = at::linear(squares, p["stem_weight"].flatten(1), p["stem_bias"]).permute({0, 3, 1, 2});
    auto h = conv3x3(norm_gelu(stem, p["norm1_weight"], p["norm1_bias"]), p["conv1_weight"], p["conv1_bias"]);
    h = conv3x3(norm_gelu(h, p["norm2_weight"], p["norm2_bias"]), p["conv2_weight"], p["conv2_bias"]);
    const auto expected = at::linear((stem + h).flatten(1), p["project_weight"], p["project_bias"]);
    // Pixels are rounded to float32.
    expect_close(embedder.forward(patches).to(at::kFloat), expected.to(at::kFloat), "patches");
  }
}

// Nothing is swamped at the start: all that is added up in a slot has about one size, so that positions can be told from the
// first step on. μGATO added positions of 0.02 to embeddings of 1.
class SizesAtTheStart : public ::testing::TestWithParam<std::tuple<std::string, double>> {};

TEST_P(SizesAtTheStart, OfThePartsOfASlotAreAlike) {
  const auto& [patch_position, init_std] = GetParam();
  at::manual_seed(3);
  auto options = testing::small_agent_options();
  options.sequence.width = 128;
  options.sequence.heads = 4;
  options.sequence.global_positions = true;
  options.embedder.patch_channels = 64;
  options.embedder.patch_stride = 4;
  options.embedder.patch_position = patch_position;
  options.init_std = init_std;
  SequenceModelRegistry registry("sequence model");
  register_builtins(registry);
  const auto agent = make_agent(options, registry);
  const auto size = [](const at::Tensor& x) { return x.norm().item<double>() / std::sqrt(static_cast<double>(x.numel())); };
  std::vector<std::string> names{"embedder.table", "embedder.local", "trunk.positions"};
  if (patch_position == "vit") names.push_back("embedder.patch_number");
  else names.insert(names.end(), {"embedder.patch_row", "embedder.patch_column"});
  const auto flat = at::randint(256, {20, 1}, at::kByte).expand({20, kPatchBytes});  // of one shade, as in drawn worlds
  const auto noise = at::randint(256, {20, kPatchBytes}, at::kByte);
  for (const auto& patches : {flat, noise}) {
    const BatchField field{patches.reshape({1, 1, 20, kPatchBytes}), at::ones({1, 1, 20}, at::kBool)};
    const double patch = size(agent->embedder().embed_field(field, Modality::kImage));
    for (const auto& name : names) {
      const double position = size(agent->named_parameters()[name]);
      EXPECT_LT(position / patch, 4.0) << name;
      EXPECT_GT(position / patch, 0.25) << name;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(PatchAndStd, SizesAtTheStart,
                         ::testing::Combine(::testing::Values("paper", "vit"), ::testing::Values(0.0, 0.02)));

// A batch without pictures neither reads nor moves what embeds them.
TEST(Embedder, TextAloneDoesNotTouchWhatEmbedsPictures) {
  for (const char* patch_position : {"paper", "vit"}) {
    auto options = testing::small_agent_options();
    options.embedder.patch_position = patch_position;
    const auto agent = testing::make_small_agent(options);
    const auto of_pictures = [](const std::string& name) { return name.starts_with("embedder.patch"); };
    {
      const at::NoGradGuard no_grad;
      for (const auto& item : agent->named_parameters())
        if (of_pictures(item.key())) item.value().fill_(std::numeric_limits<double>::infinity());
    }
    LayoutBuilder builder(2, 12, 1);
    for (const int64_t length : {12, 7}) {
      builder.begin_row();
      builder.begin_document();
      for (int64_t i = 0; i < length; ++i) builder.add_id(i, {.target = true});
    }
    const auto batch = builder.finish();
    EXPECT_TRUE(agent->embedder().forward(batch).isfinite().all().item<bool>());
    EXPECT_TRUE(agent->forward(batch).isfinite().all().item<bool>());
    const auto terms = NextTokenObjective(agent).loss(batch, {1.0});
    EXPECT_TRUE(std::isfinite(terms.sums[0]));
    terms.weighted_sum.backward();
    int64_t pictures = 0, moved = 0;
    for (const auto& item : agent->named_parameters()) {
      if (of_pictures(item.key())) {
        EXPECT_FALSE(item.value().grad().defined()) << item.key();
        ++pictures;
      } else if (item.value().grad().defined()) {
        EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
        ++moved;
      }
    }
    EXPECT_GT(pictures, 0);
    EXPECT_GT(moved, 0);
  }
}

TEST(Embedder, RefusesOptionsThatItDoesNotKnow) {
  const auto refused = [](const EmbedderOptions& options, const char* what) {
    EXPECT_THAT([&] { Embedder embedder(options); }, ThrowsMessage<Error>(HasSubstr(what)));
  };
  refused(small_options("gato"), "model.patch_position is 'gato'");
  refused(small_options("vit", "vit"), "model.local_position is 'vit'");
  auto options = small_options();
  options.patch_channels = 132;
  refused(options, "model.patch_channels is 132");
  options = small_options();
  options.patch_stride = 5;
  refused(options, "model.patch_stride is 5");
}

}  // namespace
}  // namespace mugato
