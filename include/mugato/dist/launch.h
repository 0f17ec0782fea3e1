// Which process this is among those of a job: found in what torchrun, mpirun or srun say of it in its environment.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace mugato::dist {

// What was asked for in so many words; it comes before anything that the environment says.
struct LaunchOptions {
  int64_t rank = -1, world_size = 0;  // both, or neither
  int64_t local_rank = -1;            // -1: found
  std::string init;                   // where the processes meet: tcp://HOST:PORT or file:///PATH; empty: by the environment
};

// Where a process stands, and where it meets the others.
struct Launch {
  std::string launcher = "alone";     // options, torchrun, mpirun, pmi, srun, alone
  int64_t rank = 0, world_size = 1;   // 0 <= rank < world_size
  std::optional<int64_t> local_rank;  // among the processes of its host; nothing: to be found by the hosts' names
  std::string host;                   // of the store
  uint16_t port = 0;
  std::string file;                // in place of a store at a host: a path that all processes see
  bool agent_hosts_store = false;  // torchrun's agent has the store: every rank is a client of it
  std::string generation = "0";    // counts restarts, so that one start never reads the keys of the start before it

  // "rank 3 of 8 (torchrun, local rank 3, store at node0:29500)"
  std::string text() const;
};

using Environment = std::map<std::string, std::string>;
Environment process_environment();

// By the first of: the options; RANK and WORLD_SIZE (torchrun, Kubernetes); Open MPI's or PMI's variables; those of srun; else
// alone. An allocation without a step, and a shell that srun started, are no launch. Throws Error that lists the variables it
// saw when some are missing, or say what can not be.
Launch find_launch(const LaunchOptions& options, const Environment& environment);

// Writes why this process ends into the file that torchrun's agent names by TORCHELASTIC_ERROR_FILE and shows; nothing without
// one. The agent takes the earliest failure for the cause: one that only follows from another process's is dated later.
void report_failure(const Environment& environment, const std::string& why, bool is_cause) noexcept;

// The first host of Slurm's compressed list: "gpu[07-09,12],login1" is gpu07. Empty for what is none.
std::string first_host(const std::string& nodelist);

}  // namespace mugato::dist
