#include "mugato/dist/group.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <c10/util/Flags.h>
#include <cstdlib>
#include <typeinfo>

#include "group_internal.h"
#include "mugato/core/error.h"

C10_DECLARE_int(caffe2_log_level);

namespace mugato::dist {
namespace {

using c10d::ProcessGroup;

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

// The first line of what LibTorch says; its own traces follow.
std::string first_line(const std::exception& failure) {
  const auto* error = dynamic_cast<const c10::Error*>(&failure);
  const std::string text = error ? error->what_without_backtrace() : failure.what();
  return text.substr(0, text.find('\n'));
}

// Whether it is the group that failed. Gloo throws exceptions of its own, some of which name its files; a work that fails for
// them tells only the text.
bool is_of_group(const std::exception& failure) {
  const std::string_view type = typeid(failure).name(), text = failure.what();
  return dynamic_cast<const c10::DistError*>(&failure) || type.find("gloo") != type.npos || text.find("gloo/") != text.npos ||
         text.find("NCCL") != text.npos;
}

// LibTorch logs every failure with a trace of its own frames; ours says what it was, unless TORCH_CPP_LOG_LEVEL asks for more.
void quiet_log() {
  if (!std::getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = 3;  // FATAL
}

StorePtr open_tcp_store(const Launch& launch, std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = launch.port;
  options.isServer = launch.rank == 0 && !launch.agent_hosts_store;
  options.numWorkers = static_cast<size_t>(launch.world_size);
  options.waitWorkers = !launch.agent_hosts_store;
  options.timeout = timeout;
  options.multiTenant = true;
  return c10::make_intrusive<c10d::TCPStore>(launch.host, options);
}

StorePtr open_store(const Launch& launch, const GroupOptions& options) {
  const auto timeout = milliseconds(options.join_timeout);
  try {
    StorePtr store;
    if (launch.file.empty()) store = open_tcp_store(launch, timeout);
    else store = c10::make_intrusive<c10d::FileStore>(launch.file, static_cast<int>(launch.world_size));
    store->setTimeout(timeout);
    return c10::make_intrusive<c10d::PrefixStore>("mugato/" + launch.generation, store);
  } catch (const std::exception& failure) {
    throw Error(launch.text() + ": the processes did not meet: " + first_line(failure),
                "do all of them run, and do they reach that place? another job at the same port? set MASTER_ADDR and "
                "MASTER_PORT, or dist.join_timeout",
                Error::Kind::kFailure);
  }
}

// The number of lower ranks on this host.
int64_t find_local_rank(const Launch& launch, c10d::Store& store) {
  const auto key = [](int64_t rank) { return "host/" + std::to_string(rank); };
  const auto own = host_name();
  store.set(key(launch.rank), std::vector<uint8_t>(own.begin(), own.end()));
  int64_t count = 0;
  for (int64_t r = 0; r < launch.rank; ++r) {
    const auto other = store.get(key(r));
    count += std::string(other.begin(), other.end()) == own ? 1 : 0;
  }
  return count;
}

std::string pick_backend(const std::string& asked, at::Device device) {
  const bool is_gpu = device.is_cuda();
  if (asked == "nccl" && !is_gpu)
    throw Error("dist.backend is nccl, and the model is on the CPU", "nccl is for GPUs: set dist.backend=gloo, or auto");
  return asked == "auto" ? (is_gpu ? "nccl" : "gloo") : asked;
}

ProcessGroupPtr make_processes(const Group::Impl& impl, const GroupOptions& options, at::Device device) {
  const auto processes = c10::make_intrusive<ProcessGroup>(impl.store, static_cast<int>(impl.launch.rank),
                                                           static_cast<int>(impl.launch.world_size));
  const auto timeout = milliseconds(options.timeout);
  add_gloo(processes, impl.store, address_towards(impl.launch.host, impl.launch.port), timeout);
  if (impl.backend == "nccl") add_nccl(processes, impl.store, device, timeout);
  processes->setGroupName("default");
  return processes;
}

c10d::ReduceOp reduce_op(Group::Op op) {
  switch (op) {
    case Group::Op::kMax:
      return c10d::ReduceOp::MAX;
    case Group::Op::kMin:
      return c10d::ReduceOp::MIN;
    case Group::Op::kSum:
      break;
  }
  return c10d::ReduceOp::SUM;
}

// A tensor of every process.
std::vector<at::Tensor> gather(ProcessGroup& processes, const at::Tensor& own) {
  std::vector<std::vector<at::Tensor>> all(1);
  for (int r = 0; r < processes.getSize(); ++r) all[0].push_back(at::empty_like(own));
  std::vector<at::Tensor> input{own};
  processes.allgather(all, input)->wait();
  return all[0];
}

}  // namespace

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000.0));
}

void declare(KeyTable& keys, const std::string& prefix, GroupOptions& options) {
  keys.add(prefix + "rank", &options.launch.rank, "number of this process; -1: by the environment", at_least(-1));
  keys.add(prefix + "world_size", &options.launch.world_size, "number of processes; 0: by the environment", at_least(0));
  keys.add(prefix + "local_rank", &options.launch.local_rank, "number of this process on its host; -1: found", at_least(-1));
  keys.add(prefix + "init", &options.launch.init,
           "where the processes meet: tcp://HOST:PORT or file:///PATH; empty: by the environment");
  keys.add(prefix + "backend", &options.backend, "how gradients travel; auto: nccl on GPUs, gloo on CPUs",
           one_of({"auto", "gloo", "nccl"}));
  keys.add(prefix + "timeout", &options.timeout, "seconds until a process that does not answer is given up", positive());
  keys.add(prefix + "join_timeout", &options.join_timeout, "seconds that all processes have to come in", positive());
}

at::Device pick_device(const std::string& name, int64_t local_rank) {
  const auto num_gpus = at::globalContext().hasCUDA() ? static_cast<int64_t>(at::detail::getCUDAHooks().deviceCount()) : 0;
  if (name == "cuda" && num_gpus == 0) throw Error("run.device is cuda, there is no GPU", "set run.device=cpu, or auto");
  if (name == "cpu" || num_gpus == 0) return at::kCPU;
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(local_rank % num_gpus));
}

Group::Group() = default;
Group::~Group() = default;
Group::Group(Group&&) noexcept = default;
Group& Group::operator=(Group&&) noexcept = default;

Group Group::join(const Launch& launch, const GroupOptions& options, const std::string& device) {
  Group group;
  if (launch.world_size == 1) {
    group.device_ = pick_device(device, launch.local_rank.value_or(0));
    return group;
  }
  quiet_log();
  auto impl = std::make_unique<Impl>();
  impl->launch = launch;
  impl->store = open_store(launch, options);
  try {
    impl->local_rank = launch.local_rank ? *launch.local_rank : find_local_rank(launch, *impl->store);
    group.device_ = pick_device(device, impl->local_rank);
    impl->backend = pick_backend(options.backend, group.device_);
    impl->processes = make_processes(*impl, options, group.device_);
    const auto name =
        "rank " + std::to_string(launch.rank) + " (host " + host_name() + ", process " + std::to_string(::getpid()) + ")";
    const auto every = std::chrono::milliseconds(launch.file.empty() ? 1000 : 5000);  // a file only grows
    impl->liveness = std::make_unique<Liveness>(impl->store->clone(), launch.rank, launch.world_size, name, every);
  } catch (const c10::Error& failure) {
    throw Error(launch.text() + ": the processes met and could not connect: " + first_line(failure),
                "does the network let them through? GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME choose an interface",
                Error::Kind::kFailure);
  }
  group.impl_ = std::move(impl);
  group.barrier();
  return group;
}

int64_t Group::rank() const { return impl_ ? impl_->launch.rank : 0; }
int64_t Group::size() const { return impl_ ? impl_->launch.world_size : 1; }
int64_t Group::local_rank() const { return impl_ ? impl_->local_rank : 0; }
at::Device Group::device() const { return device_; }

std::string Group::text() const {
  auto launch = impl_ ? impl_->launch : Launch{};
  if (impl_) launch.local_rank = impl_->local_rank;
  return launch.text() + " on " + device_.str() + (impl_ ? ", gradients by " + impl_->backend : "");
}

void Group::all_reduce(const at::Tensor& tensor, Op op) {
  if (!impl_) return;
  guarded("adding up numbers", [&] {
    std::vector<at::Tensor> tensors{tensor};
    c10d::AllreduceOptions options;
    options.reduceOp = reduce_op(op);
    impl_->processes->allreduce(tensors, options)->wait();
  });
}

void Group::broadcast(const at::Tensor& tensor, int64_t root) {
  if (!impl_) return;
  guarded("sharing numbers", [&] {
    std::vector<at::Tensor> tensors{tensor};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    impl_->processes->broadcast(tensors, options)->wait();
  });
}

void Group::barrier() {
  all_reduce(at::zeros({1}));  // gloo's and NCCL's own barriers need to be told of devices
}

std::vector<std::string> Group::all_gather(const std::string& bytes) {
  if (!impl_) return {bytes};
  std::vector<std::string> all;
  guarded("gathering bytes", [&] {
    const auto length = static_cast<int64_t>(bytes.size());
    const auto lengths = gather(*impl_->processes, at::full({1}, length, at::kLong));
    int64_t longest = 0;
    for (const auto& other : lengths) longest = std::max(longest, other.item<int64_t>());
    auto own = at::zeros({longest}, at::kByte);
    std::copy(bytes.begin(), bytes.end(), own.mutable_data_ptr<uint8_t>());
    if (longest == 0) return all.assign(lengths.size(), "");
    const auto padded = gather(*impl_->processes, own);
    for (size_t r = 0; r < padded.size(); ++r)
      all.emplace_back(reinterpret_cast<const char*>(padded[r].const_data_ptr<uint8_t>()),
                       static_cast<size_t>(lengths[r].item<int64_t>()));
  });
  return all;
}

void Group::doing(const std::string& what) {
  if (impl_) impl_->liveness->doing(what);
}

void Group::fail(const std::string& why) noexcept {
  if (impl_) impl_->liveness->fail(why);
}

void Group::rethrow(const char* what, const std::exception& failure) {
  if (!impl_ || !is_of_group(failure)) throw;
  throw PeerLost(impl_->launch.text() + ": " + what + " with the other processes failed: " + impl_->liveness->blame() + " (" +
                     first_line(failure) + ")",
                 "see the log of that process; the run goes on from its last checkpoint with --resume");
}

}  // namespace mugato::dist
