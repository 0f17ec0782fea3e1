#include "mugato/core/error.h"

#include <gtest/gtest.h>

namespace mugato {
namespace {

using namespace std::string_literals;

TEST(Error, HasTheHintInALineOfItsOwn) {
  EXPECT_STREQ(Error("what and where", "what to do").what(), "what and where\nhint: what to do");
  EXPECT_STREQ(Error("what and where", "").what(), "what and where");
  EXPECT_EQ(Error("", "").exit_code(), 2);
  EXPECT_EQ(Error("", "", Error::Kind::kFailure).exit_code(), 1);
}

TEST(Error, CitesWhatFilesHoldWithoutTheirControlCharacters) {
  EXPECT_STREQ(Error("key 'a\0b\x1b[2J\x7f' d\xc3\xa9j\xc3\xa0\t"s, "mend it").what(),
               "key 'a?b?[2J?' d\xc3\xa9j\xc3\xa0\t\nhint: mend it");
}

}  // namespace
}  // namespace mugato
