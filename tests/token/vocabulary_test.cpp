#include "mugato/token/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "mugato/core/error.h"
#include "mugato/core/random.h"

namespace mugato {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

VocabularyOptions random_options(Random& random, DiscreteRange range) {
  VocabularyOptions options;
  options.discrete_range = range;
  options.num_discrete = random.between(1, 300);
  options.num_continuous = random.between(1, 300);
  options.text_size = random.between(range == DiscreteRange::kPaper ? options.num_discrete : 1, 900);
  return options;
}

TEST(Vocabulary, DefaultsAreThePapersSizes) {
  const Vocabulary vocabulary;
  EXPECT_EQ(vocabulary.text().size, 32000);
  EXPECT_EQ(vocabulary.continuous().begin, 32000);
  EXPECT_EQ(vocabulary.continuous().size, 1024);
  EXPECT_EQ(vocabulary.discrete().begin, 33024);
  EXPECT_EQ(vocabulary.discrete().size, 1024);
  EXPECT_EQ(vocabulary.separator(), 34048);
  EXPECT_EQ(vocabulary.end(), 34049);
  EXPECT_EQ(vocabulary.size(), 34050);
}

TEST(Vocabulary, PapersRangePutsDiscreteValuesOnTextIds) {
  VocabularyOptions options;
  options.discrete_range = DiscreteRange::kPaper;
  const Vocabulary vocabulary(options);
  EXPECT_EQ(vocabulary.discrete().begin, 0);
  EXPECT_EQ(vocabulary.discrete().size, 1024);
  EXPECT_EQ(vocabulary.continuous().begin, 32000);
  EXPECT_EQ(vocabulary.separator(), 33024);
  EXPECT_EQ(vocabulary.size(), 33026);
}

// Every id belongs to exactly one range, so text, bins, discrete values, separator and end never overlap.
TEST(Vocabulary, SeparateRangesPartitionAllIds) {
  Random random(hash_key(1));
  for (int round = 0; round < 200; ++round) {
    const Vocabulary vocabulary(random_options(random, DiscreteRange::kSeparate));
    for (int64_t id = -2; id < vocabulary.size() + 2; ++id) {
      const int num_owners = vocabulary.text().contains(id) + vocabulary.continuous().contains(id) +
                             vocabulary.discrete().contains(id) + (id == vocabulary.separator()) + (id == vocabulary.end());
      ASSERT_EQ(num_owners, id >= 0 && id < vocabulary.size() ? 1 : 0) << "id " << id << " of " << vocabulary.size();
    }
  }
}

TEST(Vocabulary, PapersRangeOverlapsNothingButText) {
  Random random(hash_key(2));
  for (int round = 0; round < 200; ++round) {
    const Vocabulary vocabulary(random_options(random, DiscreteRange::kPaper));
    for (int64_t id = 0; id < vocabulary.size(); ++id) {
      const int num_owners = vocabulary.text().contains(id) + vocabulary.continuous().contains(id) +
                             (id == vocabulary.separator()) + (id == vocabulary.end());
      ASSERT_EQ(num_owners, 1) << "id " << id;
      ASSERT_TRUE(!vocabulary.discrete().contains(id) || vocabulary.text().contains(id)) << "id " << id;
    }
  }
}

TEST(Vocabulary, DescribeNamesEveryIdOnce) {
  VocabularyOptions options;
  options.text_size = 40;
  options.num_continuous = 8;
  options.num_discrete = 6;
  const Vocabulary separate(options);
  EXPECT_EQ(separate.describe(17), "text 17");
  EXPECT_EQ(separate.describe(40), "continuous bin 0");
  EXPECT_EQ(separate.describe(48 + 3), "discrete 3");
  EXPECT_EQ(separate.describe(separate.separator()), "separator");
  EXPECT_EQ(separate.describe(separate.end()), "end");
  std::set<std::string> names;
  for (int64_t id = 0; id < separate.size(); ++id) names.insert(separate.describe(id));
  EXPECT_EQ(static_cast<int64_t>(names.size()), separate.size());

  options.discrete_range = DiscreteRange::kPaper;
  EXPECT_EQ(Vocabulary(options).describe(3), "text 3");
}

TEST(Vocabulary, DescribeDoesNotInventANameForAForeignId) {
  const Vocabulary vocabulary;
  for (const int64_t id : {int64_t{-1}, vocabulary.size(), INT64_MAX})
    EXPECT_THAT(vocabulary.describe(id), AllOf(HasSubstr("no id"), HasSubstr(std::to_string(id))));
}

TEST(Vocabulary, RefusesEmptyRangesByName) {
  for (const int64_t size : {int64_t{0}, int64_t{-5}}) {
    const auto with = [size](int64_t VocabularyOptions::*member) {
      VocabularyOptions options;
      options.*member = size;
      return [options] { Vocabulary vocabulary(options); };
    };
    const std::string value = "is " + std::to_string(size);
    EXPECT_THAT(with(&VocabularyOptions::text_size), ThrowsMessage<Error>(AllOf(HasSubstr("text_size"), HasSubstr(value))));
    EXPECT_THAT(with(&VocabularyOptions::num_continuous),
                ThrowsMessage<Error>(AllOf(HasSubstr("num_continuous"), HasSubstr(value))));
    EXPECT_THAT(with(&VocabularyOptions::num_discrete),
                ThrowsMessage<Error>(AllOf(HasSubstr("num_discrete"), HasSubstr(value))));
  }
}

TEST(Vocabulary, PapersRangeNeedsAsManyTextIdsAsDiscreteValues) {
  VocabularyOptions options;
  options.discrete_range = DiscreteRange::kPaper;
  options.text_size = options.num_discrete = 937;
  EXPECT_EQ(Vocabulary(options).discrete().size, 937);
  options.num_discrete = 938;
  EXPECT_THAT([&] { Vocabulary vocabulary(options); },
              ThrowsMessage<Error>(AllOf(HasSubstr("num_discrete is 938"), HasSubstr("937"))));
  options.discrete_range = DiscreteRange::kSeparate;
  EXPECT_EQ(Vocabulary(options).discrete().begin, 937 + 1024);
}

}  // namespace
}  // namespace mugato
