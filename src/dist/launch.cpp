#include "mugato/dist/launch.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "mugato/core/error.h"
#include "mugato/core/files.h"

extern char** environ;

namespace mugato::dist {
namespace {

constexpr uint16_t kDefaultPort = 29500;  // torchrun's
constexpr int64_t kFirstJobPort = 15000;  // and so many after it are chosen by the job's number
constexpr int64_t kNumJobPorts = 10000;

// What may say something about a launch, in the order of the errors that list it.
constexpr std::array kVariables = {"RANK",
                                   "WORLD_SIZE",
                                   "LOCAL_RANK",
                                   "MASTER_ADDR",
                                   "MASTER_PORT",
                                   "TORCHELASTIC_USE_AGENT_STORE",
                                   "TORCHELASTIC_RESTART_COUNT",
                                   "OMPI_COMM_WORLD_RANK",
                                   "OMPI_COMM_WORLD_SIZE",
                                   "OMPI_COMM_WORLD_LOCAL_RANK",
                                   "OMPI_COMM_WORLD_LOCAL_SIZE",
                                   "PMIX_NAMESPACE",
                                   "PMI_RANK",
                                   "PMI_SIZE",
                                   "MPI_LOCALRANKID",
                                   "MPI_LOCALNRANKS",
                                   "SLURM_JOB_ID",
                                   "SLURM_STEP_ID",
                                   "SLURM_JOB_NAME",
                                   "SLURM_PROCID",
                                   "SLURM_NTASKS",
                                   "SLURM_STEP_NUM_TASKS",
                                   "SLURM_LOCALID",
                                   "SLURM_STEP_NODELIST",
                                   "SLURM_JOB_NODELIST",
                                   "SLURM_NODELIST"};

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

// The same port in every process of a job, and another one in another job.
uint16_t port_of_job(std::string_view job) {
  int64_t sum = 0;
  for (const char c : job) sum = (sum * 31 + (c >= '0' && c <= '9' ? c - '0' : c)) % kNumJobPorts;
  if (const auto number = whole_number(job)) sum = *number % kNumJobPorts;
  return static_cast<uint16_t>(kFirstJobPort + sum);
}

// An environment that is asked for one launcher's variables.
class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  std::string get(const char* name) const {
    const auto found = environment_.find(name);
    return found == environment_.end() ? std::string() : found->second;
  }

  bool has(const char* name) const { return !get(name).empty(); }

  [[noreturn]] void fail(const std::string& what, const std::string& hint) const {
    std::string seen;
    for (const char* name : kVariables)
      if (has(name)) seen += std::string(seen.empty() ? "" : ", ") + name + "=" + get(name);
    throw Error(what + "; seen: " + (seen.empty() ? "none of the variables of a launch" : seen), hint);
  }

  int64_t number(const char* name, int64_t low, int64_t high, const std::string& hint) const {
    const auto value = whole_number(get(name));
    if (!has(name)) fail(std::string("the environment has no ") + name, hint);
    if (!value || *value < low || *value > high)
      fail(std::string(name) + " is no number from " + std::to_string(low) + " to " + std::to_string(high), hint);
    return *value;
  }

  std::optional<int64_t> optional_number(const char* name, int64_t low, int64_t high, const std::string& hint) const {
    return has(name) ? std::optional(number(name, low, high, hint)) : std::nullopt;
  }

 private:
  const Environment& environment_;
};

constexpr int64_t kMostRanks = 1 << 20;

// The names of one launcher's variables.
struct Names {
  const char *launcher, *rank, *size, *local_rank;
};

Launch read_ranks(const Reader& reader, const Names& names, const std::string& hint) {
  Launch launch{.launcher = names.launcher};
  launch.world_size = reader.number(names.size, 1, kMostRanks, hint);
  launch.rank = reader.number(names.rank, 0, launch.world_size - 1, hint);
  launch.local_rank = reader.optional_number(names.local_rank, 0, launch.world_size - 1, hint);
  return launch;
}

// MASTER_ADDR and MASTER_PORT, where they are given.
void read_master(const Reader& reader, Launch& launch, const std::string& hint) {
  if (reader.has("MASTER_ADDR")) launch.host = reader.get("MASTER_ADDR");
  if (reader.has("MASTER_PORT")) launch.port = static_cast<uint16_t>(reader.number("MASTER_PORT", 1, 65535, hint));
}

Launch by_torchrun(const Reader& reader) {
  const std::string hint =
      "start it with torchrun --no-python, or set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT";
  auto launch = read_ranks(reader, {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK"}, hint);
  read_master(reader, launch, hint);
  if (launch.world_size > 1 && (launch.host.empty() || launch.port == 0))
    reader.fail("RANK and WORLD_SIZE are set, and MASTER_ADDR or MASTER_PORT is not", hint);
  launch.agent_hosts_store = reader.get("TORCHELASTIC_USE_AGENT_STORE") == "True";
  if (reader.has("TORCHELASTIC_RESTART_COUNT")) launch.generation = reader.get("TORCHELASTIC_RESTART_COUNT");
  return launch;
}

// MPI says nothing of where to meet; on one host nothing needs to be said.
Launch by_mpi(const Reader& reader, const Names& names, const char* local_size, const char* job) {
  const std::string hint =
      "forward them: mpirun -x MASTER_ADDR -x MASTER_PORT, or let all meet in a file that all see: "
      "--set dist.init=file:///shared/path";
  auto launch = read_ranks(reader, names, hint);
  read_master(reader, launch, hint);
  if (launch.port == 0) launch.port = reader.has(job) ? port_of_job(reader.get(job)) : kDefaultPort;
  const bool is_one_host = reader.optional_number(local_size, 1, kMostRanks, hint) == launch.world_size;
  if (launch.host.empty() && is_one_host) launch.host = "127.0.0.1";
  return launch;
}

// srun sets SLURM_STEP_ID; so does the shell of an interactive job, which is no step of training.
bool is_srun(const Reader& reader) {
  const auto name = reader.get("SLURM_JOB_NAME");
  return reader.has("SLURM_STEP_ID") && reader.has("SLURM_PROCID") && name != "bash" && name != "interactive";
}

Launch by_srun(const Reader& reader) {
  const std::string hint = "start it with srun, one task a GPU; or set MASTER_ADDR and MASTER_PORT yourself";
  const char* size = reader.has("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";  // a step may be smaller
  auto launch = read_ranks(reader, {"srun", "SLURM_PROCID", size, "SLURM_LOCALID"}, hint);
  for (const char* list : {"SLURM_NODELIST", "SLURM_JOB_NODELIST", "SLURM_STEP_NODELIST"})
    if (reader.has(list)) launch.host = first_host(reader.get(list));
  launch.port = reader.has("SLURM_JOB_ID") ? port_of_job(reader.get("SLURM_JOB_ID")) : kDefaultPort;
  launch.generation = reader.get("SLURM_RESTART_COUNT") + "." + reader.get("SLURM_STEP_ID");
  read_master(reader, launch, hint);
  return launch;
}

Launch by_environment(const Reader& reader) {
  if (reader.has("RANK") || reader.has("WORLD_SIZE")) return by_torchrun(reader);
  if (reader.has("OMPI_COMM_WORLD_RANK") || reader.has("OMPI_COMM_WORLD_SIZE"))
    return by_mpi(reader, {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
                  "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_NAMESPACE");
  // srun speaks PMI too, and says more in its own words.
  if (is_srun(reader)) return by_srun(reader);
  if (reader.has("PMI_RANK") || reader.has("PMI_SIZE"))
    return by_mpi(reader, {"pmi", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"}, "MPI_LOCALNRANKS", "PMI_JOBID");
  return {};
}

// tcp://HOST:PORT or file:///PATH over what the environment says.
void apply_init(const std::string& init, Launch& launch) {
  constexpr std::string_view kTcp = "tcp://", kFile = "file://";
  const auto refuse = [&] {
    throw Error("dist.init '" + init + "' is neither tcp://HOST:PORT nor file:///PATH",
                "give an address, or a file that all processes see");
  };
  launch.agent_hosts_store = false;
  if (init.starts_with(kFile)) {
    launch.file = init.substr(kFile.size());
    if (!launch.file.starts_with('/')) refuse();
    return;
  }
  const auto colon = init.rfind(':');
  if (!init.starts_with(kTcp) || colon < kTcp.size() + 1) refuse();
  const auto port = whole_number(std::string_view(init).substr(colon + 1));
  if (!port || *port < 1 || *port > 65535) refuse();
  launch.host = init.substr(kTcp.size(), colon - kTcp.size());
  launch.port = static_cast<uint16_t>(*port);
}

Launch by_options(const LaunchOptions& options) {
  if (options.rank < 0 || options.rank >= options.world_size)
    throw Error("dist.rank " + std::to_string(options.rank) + " of dist.world_size " + std::to_string(options.world_size) +
                    " can not be",
                "give both: ranks count from 0 to world_size - 1");
  return {.launcher = "options", .rank = options.rank, .world_size = options.world_size};
}

}  // namespace

std::string Launch::text() const {
  std::string text = "rank " + std::to_string(rank) + " of " + std::to_string(world_size) + " (" + launcher;
  if (local_rank) text += ", local rank " + std::to_string(*local_rank);
  if (!file.empty()) text += ", meeting in " + file;
  else if (!host.empty()) text += ", store at " + host + ":" + std::to_string(port);
  return text + ")";
}

Environment process_environment() {
  Environment all;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    if (const auto equals = text.find('='); equals != std::string_view::npos)
      all.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return all;
}

Launch find_launch(const LaunchOptions& options, const Environment& environment) {
  const Reader reader(environment);
  const bool is_told = options.rank >= 0 || options.world_size > 0;
  auto launch = is_told ? by_options(options) : by_environment(reader);
  if (!options.init.empty()) apply_init(options.init, launch);
  if (options.local_rank >= 0) launch.local_rank = options.local_rank;
  if (launch.world_size > 1 && launch.file.empty() && launch.host.empty())
    reader.fail("nothing says where the " + std::to_string(launch.world_size) + " processes (" + launch.launcher + ") meet",
                "set MASTER_ADDR and MASTER_PORT in all of them (mpirun -x MASTER_ADDR -x MASTER_PORT), or "
                "--set dist.init=tcp://HOST:PORT, or dist.init=file:///a/path/all/see");
  return launch;
}

void report_failure(const Environment& environment, const std::string& why, bool is_cause) noexcept {
  constexpr int64_t kLater = 60;  // seconds
  const auto file = environment.find("TORCHELASTIC_ERROR_FILE");
  if (file == environment.end() || file->second.empty()) return;
  try {
    const auto time = static_cast<int64_t>(std::time(nullptr)) + (is_cause ? 0 : kLater);
    const nlohmann::json report = {
        {"message", {{"message", why}, {"extraInfo", {{"py_callstack", why}, {"timestamp", std::to_string(time)}}}}}};
    write_file_atomically(file->second, report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } catch (const std::exception&) {  // the message is on the terminal, too
  }
}

std::string first_host(const std::string& nodelist) {
  // Of "gpu[07-09,12]x,login1" the first entry's parts: before, in, and behind the brackets.
  const auto open = nodelist.find_first_of("[,");
  if (open == std::string::npos || nodelist[open] == ',') return nodelist.substr(0, open);
  const auto close = nodelist.find(']', open);
  if (close == std::string::npos) return {};
  const auto first_number = nodelist.substr(open + 1, std::min(nodelist.find_first_of(",-", open), close) - open - 1);
  return nodelist.substr(0, open) + first_number + first_host(nodelist.substr(close + 1));
}

}  // namespace mugato::dist
