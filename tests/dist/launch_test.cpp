#include "mugato/dist/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "message_of.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "temporary_folder.h"

namespace mugato::dist {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const Environment kTorchrun = {{"RANK", "5"},
                               {"WORLD_SIZE", "8"},
                               {"LOCAL_RANK", "1"},
                               {"MASTER_ADDR", "gpu7"},
                               {"MASTER_PORT", "29511"},
                               {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                               {"TORCHELASTIC_RESTART_COUNT", "2"}};
const Environment kSrun = {
    {"SLURM_JOB_ID", "1234567"}, {"SLURM_STEP_ID", "0"}, {"SLURM_JOB_NAME", "gato"},          {"SLURM_PROCID", "9"},
    {"SLURM_NTASKS", "16"},      {"SLURM_LOCALID", "1"}, {"SLURM_JOB_NODELIST", "gpu[07-08]"}};
const Environment kOpenMpi = {{"OMPI_COMM_WORLD_RANK", "1"},
                              {"OMPI_COMM_WORLD_SIZE", "2"},
                              {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                              {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};

Environment with(Environment environment, const Environment& more) {
  for (const auto& [name, value] : more) environment[name] = value;
  return environment;
}

Environment without(Environment environment, const char* name) {
  environment.erase(name);
  return environment;
}

std::string refusal(const Environment& environment, const LaunchOptions& options = {}) {
  return testing::message_of([&] { find_launch(options, environment); });
}

TEST(Launch, NothingSaidIsAlone) {
  const auto launch = find_launch({}, {{"HOME", "/root"}});
  EXPECT_EQ(launch.launcher, "alone");
  EXPECT_EQ(launch.rank, 0);
  EXPECT_EQ(launch.world_size, 1);
}

TEST(Launch, Torchrun) {
  const auto launch = find_launch({}, kTorchrun);
  EXPECT_EQ(launch.launcher, "torchrun");
  EXPECT_EQ(launch.rank, 5);
  EXPECT_EQ(launch.world_size, 8);
  EXPECT_EQ(launch.local_rank, 1);
  EXPECT_EQ(launch.host, "gpu7");
  EXPECT_EQ(launch.port, 29511);
  EXPECT_TRUE(launch.agent_hosts_store);
  EXPECT_EQ(launch.generation, "2");
  EXPECT_EQ(launch.text(), "rank 5 of 8 (torchrun, local rank 1, store at gpu7:29511)");
}

TEST(Launch, OnlyTheExactWordMeansThatTheAgentHasTheStore) {
  for (const char* word : {"true", "1", "False", ""})
    EXPECT_FALSE(find_launch({}, with(kTorchrun, {{"TORCHELASTIC_USE_AGENT_STORE", word}})).agent_hosts_store) << word;
}

// Kubernetes' PyTorchJob says no local rank.
TEST(Launch, TheLocalRankMayBeUnknown) {
  EXPECT_EQ(find_launch({}, without(kTorchrun, "LOCAL_RANK")).local_rank, std::nullopt);
}

TEST(Launch, WhatIsMissingIsNamedBesideWhatWasSeen) {
  EXPECT_THAT(refusal(without(kTorchrun, "WORLD_SIZE")),
              AllOf(HasSubstr("the environment has no WORLD_SIZE"), HasSubstr("RANK=5, LOCAL_RANK=1, MASTER_ADDR=gpu7"),
                    HasSubstr("hint: ")));
  EXPECT_THAT(refusal(without(kTorchrun, "RANK")), HasSubstr("the environment has no RANK; seen: WORLD_SIZE=8"));
  EXPECT_THAT(refusal(without(kTorchrun, "MASTER_PORT")), HasSubstr("MASTER_PORT"));
  EXPECT_THAT(refusal(without(kSrun, "SLURM_NTASKS")), HasSubstr("the environment has no SLURM_NTASKS"));
  EXPECT_THAT(refusal(without(kOpenMpi, "OMPI_COMM_WORLD_RANK")), HasSubstr("has no OMPI_COMM_WORLD_RANK"));
}

TEST(Launch, WhatCanNotBeIsRefused) {
  for (const char* rank : {"8", "-1", "two", "3x", "99999999999999999999"})
    EXPECT_THAT(refusal(with(kTorchrun, {{"RANK", rank}})),
                HasSubstr(std::string("RANK is no number from 0 to 7; seen: RANK=") + rank));
  EXPECT_THAT(refusal(with(kTorchrun, {{"WORLD_SIZE", "0"}})), HasSubstr("WORLD_SIZE is no number"));
  EXPECT_THAT(refusal(with(kTorchrun, {{"MASTER_PORT", "70000"}})), HasSubstr("MASTER_PORT is no number from 1 to 65535"));
}

TEST(Launch, OneProcessNeedsNoAddress) { EXPECT_EQ(find_launch({}, {{"RANK", "0"}, {"WORLD_SIZE", "1"}}).world_size, 1); }

TEST(Launch, Srun) {
  const auto launch = find_launch({}, kSrun);
  EXPECT_EQ(launch.launcher, "srun");
  EXPECT_EQ(launch.rank, 9);
  EXPECT_EQ(launch.world_size, 16);
  EXPECT_EQ(launch.local_rank, 1);
  EXPECT_EQ(launch.host, "gpu07");
  EXPECT_EQ(launch.port, 15000 + 4567);
}

TEST(Launch, AStepOfAJobHasItsOwnHostsAndTasks) {
  const auto launch = find_launch({}, with(kSrun, {{"SLURM_STEP_NODELIST", "gpu08"}, {"SLURM_STEP_NUM_TASKS", "10"}}));
  EXPECT_EQ(launch.host, "gpu08");
  EXPECT_EQ(launch.world_size, 10);
}

TEST(Launch, AnAllocationOrAShellIsNoLaunch) {
  EXPECT_EQ(find_launch({}, without(kSrun, "SLURM_STEP_ID")).launcher, "alone");
  for (const char* shell : {"bash", "interactive"})
    EXPECT_EQ(find_launch({}, with(kSrun, {{"SLURM_JOB_NAME", shell}})).launcher, "alone");
}

TEST(Launch, OpenMpiOnOneHost) {
  const auto launch = find_launch({}, kOpenMpi);
  EXPECT_EQ(launch.launcher, "mpirun");
  EXPECT_EQ(launch.rank, 1);
  EXPECT_EQ(launch.world_size, 2);
  EXPECT_EQ(launch.local_rank, 1);
  EXPECT_EQ(launch.host, "127.0.0.1");
  EXPECT_GT(launch.port, 0);
}

TEST(Launch, OpenMpiOnSeveralHostsHasToBeToldWhereToMeet) {
  const auto two_hosts = with(kOpenMpi, {{"OMPI_COMM_WORLD_SIZE", "4"}});
  EXPECT_THAT(refusal(two_hosts), AllOf(HasSubstr("nothing says where the 4 processes (mpirun) meet"),
                                        HasSubstr("OMPI_COMM_WORLD_LOCAL_SIZE=2"), HasSubstr("mpirun -x MASTER_ADDR")));
  const auto launch = find_launch({}, with(two_hosts, {{"MASTER_ADDR", "node1"}, {"MASTER_PORT", "1234"}}));
  EXPECT_EQ(launch.host, "node1");
  EXPECT_EQ(launch.port, 1234);
  EXPECT_EQ(find_launch({.init = "file:///shared/meet"}, two_hosts).file, "/shared/meet");
}

TEST(Launch, TwoJobsOnOneHostMeetAtTwoPorts) {
  const auto port = [](const char* job) { return find_launch({}, with(kOpenMpi, {{"PMIX_NAMESPACE", job}})).port; };
  EXPECT_EQ(port("prterun-a-17@1"), port("prterun-a-17@1"));
  EXPECT_NE(port("prterun-a-17@1"), port("prterun-a-18@1"));
}

TEST(Launch, Pmi) {
  const auto launch =
      find_launch({}, {{"PMI_RANK", "3"}, {"PMI_SIZE", "4"}, {"MPI_LOCALRANKID", "3"}, {"MPI_LOCALNRANKS", "4"}});
  EXPECT_EQ(launch.launcher, "pmi");
  EXPECT_EQ(launch.rank, 3);
  EXPECT_EQ(launch.local_rank, 3);
  EXPECT_EQ(launch.host, "127.0.0.1");
}

TEST(Launch, TheOrderIsOptionsTorchrunMpiSrunPmi) {
  const Environment pmi = {{"PMI_RANK", "9"}, {"PMI_SIZE", "16"}};
  auto all = with(with(kTorchrun, kOpenMpi), with(kSrun, pmi));
  EXPECT_EQ(find_launch({.rank = 0, .world_size = 2, .init = "tcp://a:1"}, all).launcher, "options");
  EXPECT_EQ(find_launch({}, all).launcher, "torchrun");
  for (const auto& [name, value] : kTorchrun) all.erase(name);
  EXPECT_EQ(find_launch({}, all).launcher, "mpirun");
  for (const auto& [name, value] : kOpenMpi) all.erase(name);
  EXPECT_EQ(find_launch({}, all).launcher, "srun");
  all.erase("SLURM_STEP_ID");
  EXPECT_EQ(find_launch({.init = "tcp://a:1"}, all).launcher, "pmi");
}

TEST(Launch, OptionsAloneSayEverything) {
  const auto launch = find_launch({.rank = 1, .world_size = 2, .local_rank = 0, .init = "tcp://[::1]:4000"}, {});
  EXPECT_EQ(launch.rank, 1);
  EXPECT_EQ(launch.world_size, 2);
  EXPECT_EQ(launch.local_rank, 0);
  EXPECT_EQ(launch.host, "[::1]");
  EXPECT_EQ(launch.port, 4000);
  EXPECT_THAT(refusal({}, {.rank = 1}), HasSubstr("dist.rank 1 of dist.world_size 0"));
  EXPECT_THAT(refusal({}, {.world_size = 2}), HasSubstr("dist.rank -1 of dist.world_size 2"));
  for (const char* init :
       {"tcp://host", "tcp://:1", "tcp://host:0", "tcp://host:65536", "udp://host:1", "file://relative", "host:1"})
    EXPECT_THAT(refusal({}, {.rank = 0, .world_size = 2, .init = init}),
                HasSubstr("is neither tcp://HOST:PORT nor file:///PATH"));
}

TEST(Launch, AnAddressOfOnesOwnIsNotTheAgents) {
  EXPECT_FALSE(find_launch({.init = "tcp://other:1"}, kTorchrun).agent_hosts_store);
}

TEST(Launch, AFailureIsReportedToTorchrun) {
  const testing::TemporaryFolder folder;
  const auto file = (folder / "error.json").string();
  const auto report = [&](bool is_cause) {
    report_failure({{"TORCHELASTIC_ERROR_FILE", file}}, "line \"one\"\nhint: two \xff", is_cause);
    return nlohmann::json::parse(read_file(file)).at("message");
  };
  const auto cause = report(true), consequence = report(false);
  EXPECT_THAT(cause.at("message").get<std::string>(), HasSubstr("line \"one\"\nhint: two "));
  EXPECT_EQ(cause.at("extraInfo").at("py_callstack"), cause.at("message"));
  // As text, whole seconds: the earliest is the cause.
  const auto time = [](const auto& message) {
    return std::stoll(message.at("extraInfo").at("timestamp").template get<std::string>());
  };
  EXPECT_GT(time(consequence), time(cause) + 30);
  EXPECT_NEAR(static_cast<double>(time(cause)), static_cast<double>(std::time(nullptr)), 5.0);
  report_failure({}, "nobody asked", true);
  report_failure({{"TORCHELASTIC_ERROR_FILE", "/no/such/folder/file"}}, "it can not be written", true);
}

TEST(Launch, FirstHostOfSlurmsList) {
  const std::vector<std::pair<const char*, const char*>> cases = {{"host5", "host5"},
                                                                  {"host[5-9,12]", "host5"},
                                                                  {"gpu[007-010]", "gpu007"},
                                                                  {"a,b,c", "a"},
                                                                  {"login1,gpu[1-2]", "login1"},
                                                                  {"rack[1-2]node[3,4],x", "rack1node3"},
                                                                  {"n[12,14]-ib0", "n12-ib0"},
                                                                  {"", ""},
                                                                  {"broken[1-", ""}};
  for (const auto& [list, host] : cases) EXPECT_EQ(first_host(list), host) << list;
}

}  // namespace
}  // namespace mugato::dist
