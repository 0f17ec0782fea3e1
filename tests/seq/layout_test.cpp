#include "mugato/seq/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>

#include "mugato/core/random.h"
#include "mugato/token/image.h"

namespace mugato {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

using Patch = std::array<uint8_t, kPatchBytes>;

// Patches of which some repeat and some differ in a single byte.
std::vector<Patch> random_patches(Random& random, int64_t count) {
  std::vector<Patch> patches;
  for (int64_t i = 0; i < count; ++i) {
    Patch patch;
    if (i > 0 && random.chance(0.7)) patch = patches[static_cast<size_t>(random.below(i))];
    else
      for (auto& byte : patch) byte = static_cast<uint8_t>(random.below(256));
    if (random.chance(0.3)) ++patch[static_cast<size_t>(random.below(kPatchBytes))];
    patches.push_back(patch);
  }
  return patches;
}

TEST(LayoutBuilder, EveryPatchIsKeptOnceAndGivesItsBytesBack) {
  Random random(1);
  for (const auto& [count, room] : {std::pair<int64_t, int64_t>{1, 0}, {2, 1}, {40, 40}, {300, 0}, {300, 100}, {300, 5000}}) {
    const auto patches = random_patches(random, count);
    LayoutBuilder builder(2, count, 1);
    builder.reserve(0, room);
    for (int64_t row = 0; row < 2; ++row) {
      builder.begin_row();
      builder.begin_document();
      builder.add_image(patches.front().data(), std::vector<int64_t>(patches.size(), 0), std::vector<int64_t>{0});
    }
    const auto batch = builder.finish();
    const auto gathered = batch.patches.index_select(0, batch.layout.patch_index).contiguous();
    for (int64_t i = 0; i < 2 * count; ++i)
      EXPECT_EQ(std::memcmp(gathered[i].data_ptr(), patches[static_cast<size_t>(i % count)].data(), kPatchBytes), 0) << i;
    EXPECT_EQ(batch.patches.size(0), static_cast<int64_t>(std::set(patches.begin(), patches.end()).size()));
  }
}

TEST(LayoutBuilder, PadsBelongToNobody) {
  LayoutBuilder builder(3, 4, 1);
  builder.begin_row();
  builder.begin_document();
  builder.add_id(7, {});
  builder.add_id(8, {.target = true});
  builder.begin_row();  // stays empty
  builder.begin_row();
  builder.begin_document();
  builder.add_id(9, {});
  const auto layout = builder.finish().layout;
  const auto pad = layout.ids == TokenLayout::kPad;
  EXPECT_TRUE(at::equal(pad, at::tensor({0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1}).to(at::kBool).view({3, 4})));
  EXPECT_TRUE(at::equal(layout.document == -1, pad));
  EXPECT_TRUE(at::equal(layout.slots, (~pad).flatten().nonzero().squeeze(1)));
  EXPECT_EQ(layout.documents.size(), 2);
  EXPECT_TRUE(at::equal(layout.target_slots, at::zeros({1}, at::kLong)));
}

TEST(LayoutBuilder, ADocumentsFirstTokenHasNothingToPredictIt) {
  LayoutBuilder builder(1, 4, 1);
  builder.begin_row();
  builder.begin_document();
  builder.add_id(1, {.target = true});
  builder.add_id(2, {.target = true});
  builder.begin_document();
  builder.add_id(3, {.target = true});  // not predicted by the document before
  const auto batch = builder.finish();
  EXPECT_TRUE(at::equal(batch.layout.targets, at::tensor({2}, at::kLong)));
  EXPECT_EQ(batch.target_counts, std::vector<int64_t>{1});
}

TEST(LayoutBuilder, CountsDocumentsPositionsAndTimestepsAnewWhereTheyBegin) {
  LayoutBuilder builder(2, 6, 1);
  builder.begin_row();
  builder.begin_document();
  builder.begin_timestep(4);
  builder.begin_field(2);
  builder.add_id(1, {});
  builder.add_id(1, {.action = true});
  builder.add_id(1, {});
  builder.begin_document();
  builder.add_id(1, {});
  builder.begin_row();
  builder.begin_document(0, /*first_position=*/10);
  builder.begin_timestep(3, /*first_local=*/5);
  builder.add_id(1, {});
  builder.add_id(1, {});
  const auto l = builder.finish().layout;
  const auto row = [](const at::Tensor& x, int64_t i, int64_t n) {
    return std::vector<int64_t>(x[i].data_ptr<int64_t>(), x[i].data_ptr<int64_t>() + n);
  };
  using Row = std::vector<int64_t>;
  EXPECT_EQ(row(l.document, 0, 5), Row({0, 0, 0, 1, -1}));
  EXPECT_EQ(row(l.position, 0, 4), Row({0, 1, 2, 0}));
  EXPECT_EQ(row(l.timestep, 0, 4), Row({4, 4, 4, 0}));
  EXPECT_EQ(row(l.field, 0, 4), Row({2, 2, 2, -1}));
  EXPECT_EQ(row(l.local, 0, 4), Row({0, TokenLayout::kActionPosition, 1, 0}));
  EXPECT_EQ(row(l.position, 1, 2), Row({10, 11}));
  EXPECT_EQ(row(l.timestep, 1, 2), Row({3, 3}));
  EXPECT_EQ(row(l.local, 1, 2), Row({5, 6}));
}

TEST(LayoutBuilder, ACellIsOneTokenOfSeveralIds) {
  LayoutBuilder builder(1, 4, 1);
  builder.begin_row();
  builder.begin_document();
  const std::vector<int64_t> first{5, 6, 7}, second{8, 9};
  builder.add_id(1, {});
  builder.add_cell(first.data(), 3);
  builder.add_cell(second.data(), 2);
  const auto l = builder.finish().layout;
  EXPECT_EQ(l.num_tokens(), 3);
  EXPECT_TRUE(at::equal(l.id_values, at::tensor({1, 5, 8}, at::kLong)));
  EXPECT_TRUE(at::equal(l.cell_index, at::tensor({1, 1, 2}, at::kLong)));
  EXPECT_TRUE(at::equal(l.cell_values, at::tensor({6, 7, 9}, at::kLong)));
}

TEST(LayoutBuilder, ADocumentWithoutTokensLeavesNoTrace) {
  LayoutBuilder builder(1, 3, 1);
  builder.begin_row();
  builder.begin_document();
  builder.begin_document();
  builder.add_id(1, {});
  builder.begin_document();
  builder.begin_document();
  builder.add_id(2, {});
  builder.begin_document();
  const auto l = builder.finish().layout;
  EXPECT_EQ(l.documents.size(), 2);
  EXPECT_TRUE(at::equal(l.document, at::tensor({0, 1, -1}, at::kLong).view({1, 3})));
}

TEST(LayoutBuilder, RefusesTokensThatLieNowhere) {
  const auto message = [](const char* text) { return ThrowsMessage<c10::Error>(HasSubstr(text)); };
  LayoutBuilder builder(1, 2, 2);
  EXPECT_THAT([&] { builder.begin_document(); }, message("before the first row"));
  builder.begin_row();
  EXPECT_THAT([&] { builder.add_id(1, {}); }, message("outside of a document"));
  EXPECT_THAT([&] { builder.begin_document(2); }, message("domain 2 of 2"));
  EXPECT_THAT([&] { builder.begin_document(-1); }, message("domain -1 of 2"));
  builder.begin_document(1);
  builder.add_id(1, {});
  builder.add_id(1, {});
  EXPECT_EQ(builder.room(), 0);
  EXPECT_THAT([&] { builder.add_id(1, {}); }, message("row 0 is full"));
  EXPECT_THAT([&] { builder.begin_row(); }, message("more rows than declared"));
}

TEST(LayoutBuilder, ATokenOfANewRowDoesNotFallIntoTheLastRowsDocument) {
  LayoutBuilder builder(2, 2, 1);
  builder.begin_row();
  builder.begin_document();
  builder.add_id(1, {});
  builder.begin_row();
  EXPECT_THAT([&] { builder.add_id(2, {}); }, ThrowsMessage<c10::Error>(HasSubstr("outside of a document")));
}

}  // namespace
}  // namespace mugato
