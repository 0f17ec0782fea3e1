#include "mugato/dist/group.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "../ranks.h"
#include "message_of.h"

namespace mugato::dist {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

TEST(Group, OfOneProcessDoesNothing) {
  Group group;
  const auto tensor = at::full({2}, 3.0);
  group.all_reduce(tensor);
  group.broadcast(tensor);
  group.barrier();
  EXPECT_TRUE(tensor.eq(3.0).all().item<bool>());
  EXPECT_THAT(group.all_gather("abc"), ElementsAre("abc"));
  EXPECT_EQ(group.size(), 1);
  EXPECT_EQ(group.text(), "rank 0 of 1 (alone) on cpu");
}

TEST(DISABLED_Rank, Collectives) {
  auto group = testing::join_ranks();
  const auto rank = static_cast<double>(group.rank());
  const auto all = [&](Group::Op op) {
    const auto tensor = at::tensor({rank, -rank}, at::kDouble);
    group.all_reduce(tensor, op);
    return std::pair(tensor[0].item<double>(), tensor[1].item<double>());
  };
  EXPECT_EQ(all(Group::Op::kSum), std::pair(3.0, -3.0));
  EXPECT_EQ(all(Group::Op::kMax), std::pair(2.0, 0.0));
  EXPECT_EQ(all(Group::Op::kMin), std::pair(0.0, -2.0));
  const auto from_one = at::full({3}, rank);
  group.broadcast(from_one, 1);
  EXPECT_TRUE(from_one.eq(1.0).all().item<bool>());
  EXPECT_THAT(group.all_gather(std::string(static_cast<size_t>(group.rank()), 'x')), ElementsAre("", "x", "xx"));
  EXPECT_THAT(group.all_gather(""), ElementsAre("", "", ""));
  EXPECT_THAT(group.all_gather(std::string("\0\n", 2) + std::to_string(group.rank())),
              ElementsAre(std::string("\0\n0", 3), std::string("\0\n1", 3), std::string("\0\n2", 3)));
  EXPECT_THAT(group.text(), HasSubstr("of 3 (torchrun, local rank " + std::to_string(group.rank())));
  group.barrier();
}
TEST(Group, Collectives) { testing::expect_all_passed(testing::run_ranks("Collectives", 3)); }

TEST(DISABLED_Rank, LocalRankByHost) {
  auto launch = find_launch({}, process_environment());
  launch.local_rank.reset();
  auto group = Group::join(launch, {});
  EXPECT_EQ(group.local_rank(), group.rank());
  group.barrier();
}
TEST(Group, TheLocalRankIsFoundByTheHostsNames) { testing::expect_all_passed(testing::run_ranks("LocalRankByHost", 2)); }

TEST(DISABLED_Rank, OneIsKilled) {
  auto group = testing::join_ranks();
  group.doing("step 7");
  if (group.rank() == 1) {
    std::this_thread::sleep_for(1500ms);  // its last sign says what it does
    ::raise(SIGKILL);
  }
  const Stopwatch watch;
  const auto message = testing::message_of([&] { group.barrier(); }, 1);
  EXPECT_THAT(message, AllOf(HasSubstr("rank 1 (host "), HasSubstr("gives no sign of life; its last was: step 7")));
  EXPECT_LT(watch.seconds(), 15.0);
}
TEST(Group, AKilledProcessIsNamed) {
  const auto ranks = testing::run_ranks("OneIsKilled", 3);
  EXPECT_EQ(ranks[0].code, 0) << ranks[0].output;
  EXPECT_EQ(ranks[1].code, 128 + SIGKILL);
  EXPECT_EQ(ranks[2].code, 0) << ranks[2].output;
}

TEST(DISABLED_Rank, TheStoreIsKilled) {
  auto group = testing::join_ranks();
  if (group.rank() == 0) ::raise(SIGKILL);
  EXPECT_THAT(testing::message_of([&] { group.barrier(); }, 1), HasSubstr("the store does not answer: rank 0"));
}
TEST(Group, TheProcessThatHasTheStoreIsNamed) {
  const auto ranks = testing::run_ranks("TheStoreIsKilled", 2);
  EXPECT_EQ(ranks[0].code, 128 + SIGKILL);
  EXPECT_EQ(ranks[1].code, 0) << ranks[1].output;
}

TEST(DISABLED_Rank, OneHangs) {
  auto group = testing::join_ranks(/*timeout=*/2.0);
  if (group.rank() == 1) {
    group.doing("step 8, waiting for data");
    std::this_thread::sleep_for(8s);
    return;
  }
  group.doing("step 8, gradients");
  const Stopwatch watch;
  EXPECT_THAT(testing::message_of([&] { group.barrier(); }, 1), HasSubstr("is still at: step 8, waiting for data"));
  EXPECT_LT(watch.seconds(), 10.0);
}
TEST(Group, AProcessThatHangsIsNamedAfterTheTimeout) { testing::expect_all_passed(testing::run_ranks("OneHangs", 2)); }

TEST(DISABLED_Rank, OneSaysWhy) {
  auto group = testing::join_ranks();
  if (group.rank() == 1) {
    group.fail("'episode.hdf5' is broken at byte 17");
    return;
  }
  EXPECT_THAT(testing::message_of([&] { group.barrier(); }, 1), HasSubstr("failed: 'episode.hdf5' is broken at byte 17"));
}
TEST(Group, TheCauseIsCited) { testing::expect_all_passed(testing::run_ranks("OneSaysWhy", 2)); }

TEST(Group, WhoDoesNotComeIsWaitedForSoLong) {
  Launch launch{.launcher = "options", .rank = 0, .world_size = 2, .host = "127.0.0.1"};
  launch.port = static_cast<uint16_t>(testing::free_port());
  const Stopwatch watch;
  EXPECT_THAT(testing::message_of([&] { Group::join(launch, {.join_timeout = 1.0}); }, 1),
              AllOf(HasSubstr("the processes did not meet"), HasSubstr("1/2 clients joined")));
  EXPECT_LT(watch.seconds(), 10.0);
  launch.rank = 1;
  EXPECT_THAT(testing::message_of([&] { Group::join(launch, {.join_timeout = 1.0}); }, 1),
              HasSubstr("the processes did not meet"));
}

TEST(Group, NcclIsForGpus) {
  Launch launch{.launcher = "options", .rank = 0, .world_size = 2};
  const testing::TemporaryFolder folder;
  launch.file = (folder.path() / "store").string();
  launch.local_rank = 0;
  EXPECT_THAT(testing::message_of([&] { Group::join(launch, {.backend = "nccl"}); }),
              HasSubstr("dist.backend is nccl, and the model is on the CPU"));
}

}  // namespace
}  // namespace mugato::dist
