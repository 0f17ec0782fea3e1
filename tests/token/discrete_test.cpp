#include "mugato/token/discrete.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "mugato/core/error.h"
#include "mugato/core/random.h"
#include "mugato/token/vocabulary.h"

namespace mugato {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Random values in range, (..., C) for C > 1.
at::Tensor random_values(Random& random, const std::vector<int64_t>& num_values, int64_t num_cells) {
  const int64_t num_channels = static_cast<int64_t>(num_values.size());
  at::Tensor values = at::empty({num_cells, num_channels}, at::kLong);
  for (int64_t i = 0; i < values.numel(); ++i)
    values.mutable_data_ptr<int64_t>()[i] = random.below(num_values[static_cast<size_t>(i % num_channels)]);
  return values;
}

// Ids encode and decode exactly, in both ranges that the vocabulary may give discrete values.
TEST(Discrete, IdsComeBackExactlyInBothRanges) {
  Random random(hash_key(11));
  for (const DiscreteRange range : {DiscreteRange::kSeparate, DiscreteRange::kPaper}) {
    VocabularyOptions options;
    options.discrete_range = range;
    const IdRange ids = Vocabulary(options).discrete();
    for (int round = 0; round < 100; ++round) {
      DiscreteCodec codec;
      const int64_t num_channels = random.between(1, 5);
      for (int64_t c = 0; c < num_channels; ++c) codec.num_values.push_back(random.between(1, 200));
      ASSERT_LE(codec.size(), ids.size);
      const at::Tensor values = random_values(random, codec.num_values, 50);
      const at::Tensor tokens = codec.encode(values, "grid") + ids.begin;
      for (int64_t i = 0; i < tokens.numel(); ++i) ASSERT_TRUE(ids.contains(tokens.view(-1)[i].item<int64_t>()));
      ASSERT_TRUE(at::equal(codec.decode(tokens - ids.begin), values));
    }
  }
}

TEST(Discrete, EveryValueOfEveryChannelHasItsOwnOffset) {
  DiscreteCodec codec;
  codec.num_values = {11, 6, 3};
  EXPECT_EQ(codec.size(), 20);
  std::map<int64_t, std::pair<int64_t, int64_t>> owner;
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t value = 0; value < codec.num_values[static_cast<size_t>(c)]; ++value) {
      at::Tensor cell = at::zeros({3}, at::kLong);
      cell[c] = value;
      const int64_t offset = codec.encode(cell, "grid")[c].item<int64_t>();
      EXPECT_TRUE(offset >= 0 && offset < codec.size());
      EXPECT_TRUE(owner.emplace(offset, std::pair(c, value)).second)
          << "channel " << c << " value " << value << " shares offset " << offset;
    }
  EXPECT_EQ(static_cast<int64_t>(owner.size()), codec.size());
}

TEST(Discrete, ChannelsAreShiftedByTheSizesBeforeThem) {
  DiscreteCodec codec;
  codec.num_values = {11, 6, 3};
  const at::Tensor offsets = codec.encode(at::tensor({10, 0, 2, 0, 5, 0}, at::kLong).view({2, 3}), "grid");
  EXPECT_TRUE(at::equal(offsets, at::tensor({10, 11, 19, 0, 16, 17}, at::kLong).view({2, 3})));
}

TEST(Discrete, OneEntryIsForValuesOfAnyShape) {
  Random random(hash_key(12));
  DiscreteCodec codec;
  codec.num_values = {7};
  for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{{}, {5}, {0}, {4, 3}, {2, 7, 7, 3}}) {
    const at::Tensor values = random_values(random, {7}, c10::multiply_integers(shape)).view(shape);
    const at::Tensor offsets = codec.encode(values, "action");
    ASSERT_TRUE(at::equal(offsets, values));
    ASSERT_TRUE(at::equal(codec.decode(offsets), values));
  }
}

TEST(Discrete, EveryIntegerTypeGivesTheSameOffsets) {
  Random random(hash_key(13));
  DiscreteCodec codec;
  codec.num_values = {2, 2};
  const at::Tensor values = random_values(random, codec.num_values, 64);
  const at::Tensor expected = codec.encode(values, "f");
  for (const at::ScalarType type : {at::kByte, at::kChar, at::kShort, at::kInt, at::kLong, at::kBool, at::kUInt16}) {
    const at::Tensor offsets = codec.encode(values.to(type), "f");
    EXPECT_EQ(offsets.scalar_type(), at::kLong);
    EXPECT_TRUE(at::equal(offsets, expected)) << type;
  }
  const at::Tensor strided = values.t().contiguous().t();
  ASSERT_FALSE(strided.is_contiguous());
  EXPECT_TRUE(at::equal(codec.encode(strided, "f"), expected));
}

TEST(Discrete, NamesFieldValueAndFirstBadIndex) {
  DiscreteCodec codec;
  codec.num_values = {11, 6, 3};
  for (const at::ScalarType type : {at::kByte, at::kInt, at::kLong}) {
    at::Tensor grid = at::zeros({2, 7, 7, 3}, type);
    grid[1][6][5][1] = 6;
    grid[1][6][6][0] = 99;
    EXPECT_THAT([&] { codec.encode(grid, "image"); },
                ThrowsMessage<Error>(AllOf(HasSubstr("field 'image'"), HasSubstr("value 6"),
                                           HasSubstr("index " + std::to_string(((7 + 6) * 7 + 5) * 3 + 1) + " (1,6,5,1)"),
                                           HasSubstr("[0, 6)"), HasSubstr("channel 1"), HasSubstr("\nhint: "))));
  }
}

TEST(Discrete, ExtremeValuesAreErrorsNotWrapped) {
  DiscreteCodec one, two;
  one.num_values = {1024};
  two.num_values = {5, 1024};
  for (const int64_t bad : {int64_t{-1}, int64_t{1024}, INT64_MAX, INT64_MIN, int64_t{1} << 32}) {
    EXPECT_THAT(
        [&] {
          one.encode(at::tensor({int64_t{3}, bad}), "a");
        },
        ThrowsMessage<Error>(AllOf(HasSubstr("value " + std::to_string(bad)), HasSubstr("index 1 (1)"))));
    EXPECT_THAT(
        [&] {
          two.encode(at::tensor({int64_t{3}, bad}), "a");
        },
        ThrowsMessage<Error>(HasSubstr("value " + std::to_string(bad))));
  }
  EXPECT_THAT([&] { one.encode(at::tensor({-1}, at::kInt), "a"); }, ThrowsMessage<Error>(HasSubstr("value -1")));
}

TEST(Discrete, RefusesOtherTypesAndShapesByField) {
  DiscreteCodec codec;
  codec.num_values = {4, 4};
  EXPECT_THAT(
      [&] {
        codec.encode(at::zeros({3, 2}), "door");
      },
      ThrowsMessage<Error>(AllOf(HasSubstr("'door'"), HasSubstr("Float"))));
  EXPECT_THAT(
      [&] {
        codec.encode(at::zeros({2, 3}, at::kLong), "door");
      },
      ThrowsMessage<Error>(AllOf(HasSubstr("'door'"), HasSubstr("(2,3)"), HasSubstr("2 channels"))));
  EXPECT_THAT([&] { codec.encode(at::zeros({}, at::kLong), "door"); }, ThrowsMessage<Error>(HasSubstr("'door'")));
}

TEST(Discrete, RefusesADeclarationWithoutValues) {
  EXPECT_THAT([] { DiscreteCodec().encode(at::zeros({2}, at::kLong), "door"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("'door'"), HasSubstr("num_values"))));
  DiscreteCodec codec;
  codec.num_values = {3, 0};
  EXPECT_THAT([&] { codec.encode(at::zeros({2}, at::kLong), "door"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("'door'"), HasSubstr("num_values[1] is 0"))));
}

// M4: an id of another range was folded into a valid action by a modulo.
TEST(Discrete, DecodeNeverFoldsAForeignOffsetIntoAValue) {
  DiscreteCodec codec;
  codec.num_values = {7};
  for (const int64_t offset : {int64_t{-1}, int64_t{7}, int64_t{1023}, INT64_MIN})
    EXPECT_THROW(codec.decode(at::tensor({int64_t{0}, offset})), c10::Error) << offset;
  codec.num_values = {11, 6, 3};
  EXPECT_THROW(codec.decode(at::tensor({0, 0, 17}, at::kLong)), c10::Error) << "offset 0 is channel 0's, not channel 1's";
}

}  // namespace
}  // namespace mugato
