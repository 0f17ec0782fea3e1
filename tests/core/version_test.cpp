#include "mugato/core/version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mugato {
namespace {

using ::testing::MatchesRegex;

TEST(Version, SaysWhatThisBuildIsMadeOf) {
  const auto found = versions();
  EXPECT_THAT(found.mugato, MatchesRegex("[0-9]+[.][0-9]+[.][0-9]+"));
  EXPECT_THAT(found.libtorch, MatchesRegex("2[.][0-9]+[.][0-9]+.*"));
  EXPECT_FALSE(found.cpu_capability.empty());
  EXPECT_GE(found.num_gpus, 0);
#ifdef MUGATO_CUDA
  EXPECT_THAT(found.cuda, MatchesRegex("1[0-9][.][0-9]+"));
  EXPECT_THAT(found.cudnn, MatchesRegex("[0-9]+[.][0-9]+[.][0-9]+"));
#else
  EXPECT_EQ(found.cuda + found.cudnn + found.nccl, "");
  EXPECT_EQ(found.num_gpus, 0);
#endif
}

}  // namespace
}  // namespace mugato
