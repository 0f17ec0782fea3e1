#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mugato/core/error.h"
#include "random_episodes.h"

namespace mugato {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Schema, KnowsItsFieldsByName) {
  const Schema schema{{{.name = "mission"}, {.name = "image", .modality = Modality::kImage}}};
  EXPECT_EQ(schema.index_of("image"), 1);
  EXPECT_EQ(schema.field("image").modality, Modality::kImage);
  EXPECT_THAT([&] { schema.field("imagine"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("unknown field 'imagine'"), HasSubstr("did you mean 'image'?"))));
}

TEST(Schema, CountsValuesPerStep) {
  EXPECT_EQ(FieldSpec{}.values_per_step(), 1);
  EXPECT_EQ((FieldSpec{.shape = {7, 7, 3}}).values_per_step(), 147);
}

TEST(Schema, DeclarationsThatCanBeTokenizedAndWrittenAreValid) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    EXPECT_NO_THROW(validate(*testing::random_schema(random), testing::small_vocabulary()));
  }
}

TEST(Schema, OtherDeclarationsAreErrorsThatNameTheField) {
  const auto refused = [](FieldSpec field, const char* why) {
    field.name = "thing";
    EXPECT_THAT(
        [&] {
          validate({{{.name = "first"}, field}}, testing::small_vocabulary());
        },
        ThrowsMessage<Error>(AllOf(HasSubstr("'thing'"), HasSubstr(why), HasSubstr("hint: "))))
        << why;
  };
  const auto discrete = Modality::kDiscrete, continuous = Modality::kContinuous, image = Modality::kImage;
  refused({.role = Role::kAction}, "answer or text");
  refused({.modality = discrete, .role = Role::kAnswer, .num_values = {2}}, "only text has the role answer");
  refused({.modality = continuous, .role = Role::kText}, "only text has the role text");
  refused({.modality = image, .role = Role::kPrompt}, "only text has the role prompt");
  refused({.modality = image, .role = Role::kAction}, "never written");
  refused({.modality = image, .shape = {8, 8}}, "{height, width, channels}");
  refused({.modality = discrete, .role = Role::kAction, .shape = {2, 2}, .cells = true, .num_values = {3, 3}}, "not in cells");
  refused({.modality = continuous, .shape = {2, 2}, .cells = true}, "only discrete");
  refused({.modality = continuous, .shape = {0}}, "at least 1");
  refused({.modality = continuous, .low = {1.0}, .high = {1.0}}, "low has to be below high");
  refused({.modality = continuous, .shape = {3}, .low = {0.0, 0.0}, .high = {1.0, 1.0}}, "one for each");
  refused({.modality = continuous, .shape = {2}, .low = {0.0, 0.0}, .high = {1.0}}, "not as many lower as upper limits");
  refused({.modality = continuous, .shape = {2}, .low = {0.0, 2.0}, .high = {1.0, 2.0}}, "low has to be below high");
  refused({.modality = discrete}, "how many values");
  refused({.modality = discrete, .num_values = {0}}, "at least one choice");
  refused({.modality = discrete, .shape = {2}, .num_values = {3, 3}}, "one number of values holds for all");
  refused({.modality = discrete, .shape = {2, 3}, .cells = true, .num_values = {3, 3}}, "the last axis");
  refused({.modality = discrete, .num_values = {21}}, "needs 21 ids, the vocabulary has 20");
  refused({.modality = discrete, .shape = {2}, .cells = true, .num_values = {11, 10}}, "needs 21 ids");
  EXPECT_THAT(
      [] {
        validate({{{.name = "a"}, {.name = "b"}, {.name = "a"}}}, testing::small_vocabulary());
      },
      ThrowsMessage<Error>(HasSubstr("'a' is declared twice")));
}

}  // namespace
}  // namespace mugato
