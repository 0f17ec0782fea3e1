#include "mugato/train/signals.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mugato {
namespace {

using SignalsTest = ::testing::TestWithParam<int>;

TEST_P(SignalsTest, IsRemembered) {
  const auto before = std::signal(SIGHUP, SIG_DFL);  // the tests may run under nohup
  const StopSignal stop;
  EXPECT_FALSE(stop.requested());
  std::raise(GetParam());
  EXPECT_TRUE(stop.requested());
  EXPECT_EQ(stop.signal(), GetParam());
  std::signal(SIGHUP, before);
}

INSTANTIATE_TEST_SUITE_P(All, SignalsTest, ::testing::Values(SIGINT, SIGTERM, SIGUSR1, SIGHUP));

TEST(Signals, TheFirstOneCounts) {
  const StopSignal stop;
  std::raise(SIGUSR1);
  std::raise(SIGTERM);
  std::raise(SIGTERM);
  EXPECT_EQ(stop.signal(), SIGUSR1);
}

TEST(Signals, HandlersAreRestoredAndTheFlagStartsAnew) {
  static int num_calls = 0;
  const auto before = std::signal(SIGTERM, [](int) { ++num_calls; });
  {
    const StopSignal stop;
    std::raise(SIGTERM);
  }
  std::raise(SIGTERM);
  EXPECT_EQ(num_calls, 1);
  EXPECT_FALSE(StopSignal().requested());
  std::signal(SIGTERM, before);
}

TEST(Signals, AHangUpThatIsIgnoredStaysSo) {
  const auto before = std::signal(SIGHUP, SIG_IGN);
  {
    const StopSignal stop;
    std::raise(SIGHUP);
    EXPECT_FALSE(stop.requested());
  }
  EXPECT_EQ(std::signal(SIGHUP, before), SIG_IGN);
}

TEST(Signals, OnlyOneAtATime) {
  const StopSignal stop;
  EXPECT_ANY_THROW(StopSignal());
  std::raise(SIGTERM);
  EXPECT_TRUE(stop.requested());
}

TEST(Signals, ASecondInterruptKills) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const StopSignal stop;
    std::raise(SIGINT);
    if (!stop.requested()) ::_exit(1);
    std::raise(SIGINT);
    ::_exit(2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "exit code " << WEXITSTATUS(status);
  EXPECT_EQ(WTERMSIG(status), SIGINT);
}

}  // namespace
}  // namespace mugato
