// Real processes: this test program started anew, once a rank, to run one test of the suite DISABLED_Rank.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "mugato/core/files.h"
#include "mugato/dist/group.h"
#include "temporary_folder.h"

namespace mugato::testing {

struct EndedRank {
  int code = 0;  // of its exit; 128 + n for signal n
  std::string output;
};

// A port of this machine that nobody listens on.
inline int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool found = ::bind(socket, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  ::close(socket);
  return found ? ntohs(address.sin_port) : 0;
}

inline pid_t start_rank(const std::string& worker, int64_t rank, int64_t size, int port, const std::string& log) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe");
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  const auto set = [](const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); };
  set("RANK", std::to_string(rank));
  set("WORLD_SIZE", std::to_string(size));
  set("LOCAL_RANK", std::to_string(rank));
  set("MASTER_ADDR", "127.0.0.1");
  set("MASTER_PORT", std::to_string(port));
  if (!std::freopen(log.c_str(), "w", stdout)) ::_exit(98);
  ::dup2(STDOUT_FILENO, STDERR_FILENO);
  const std::string filter = "--gtest_filter=DISABLED_Rank." + worker;
  ::execl(program.c_str(), program.c_str(), filter.c_str(), "--gtest_also_run_disabled_tests", nullptr);
  ::_exit(99);
}

// Starts the ranks, calls `while_running` with their processes, and waits for all of them.
inline std::vector<EndedRank> run_ranks(const std::string& worker, int64_t size,
                                        const std::function<void(const std::vector<pid_t>&)>& while_running = {}) {
  const TemporaryFolder folder;
  const int port = free_port();
  std::fflush(nullptr);
  std::vector<pid_t> processes;
  const auto log = [&](int64_t rank) { return (folder.path() / ("rank" + std::to_string(rank))).string(); };
  for (int64_t r = 0; r < size; ++r) processes.push_back(start_rank(worker, r, size, port, log(r)));
  if (while_running) while_running(processes);
  std::vector<EndedRank> ended;
  for (int64_t r = 0; r < size; ++r) {
    int status = 0;
    ::waitpid(processes[static_cast<size_t>(r)], &status, 0);
    ended.push_back({WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(log(r))});
  }
  return ended;
}

inline void expect_all_passed(const std::vector<EndedRank>& ranks) {
  for (size_t r = 0; r < ranks.size(); ++r) EXPECT_EQ(ranks[r].code, 0) << "rank " << r << ":\n" << ranks[r].output;
}

// Of a worker: the group that its variables describe.
inline dist::Group join_ranks(double timeout = 30.0) {
  return dist::Group::join(dist::find_launch({}, dist::process_environment()), {.timeout = timeout, .join_timeout = 30.0});
}

}  // namespace mugato::testing
