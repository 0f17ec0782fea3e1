#include "group_internal.h"
#include "mugato/core/error.h"

#if MUGATO_NCCL
#include <cstdlib>

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace mugato::dist {
namespace {

// What a cluster wants of NCCL where nobody said otherwise: errors end the process with what every rank did last.
void set_defaults() {
  ::setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "3", 0);
  ::setenv("TORCH_NCCL_DUMP_ON_TIMEOUT", "1", 0);
  ::setenv("TORCH_FR_BUFFER_SIZE", "2000", 0);
}

}  // namespace

void add_nccl(const ProcessGroupPtr& processes, const StorePtr& store, at::Device device, std::chrono::milliseconds timeout) {
  set_defaults();
  const auto options = c10d::ProcessGroupNCCL::Options::create(/*is_high_priority_stream=*/true);
  options->timeout = timeout;
  const auto backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, processes->getRank(), processes->getSize(), options);
  backend->setBoundDeviceId(device);
  backend->setSequenceNumberForGroup();
  processes->setBackend(c10::DeviceType::CUDA, c10d::ProcessGroup::BackendType::NCCL, backend);
}

}  // namespace mugato::dist
#else
namespace mugato::dist {

void add_nccl(const ProcessGroupPtr&, const StorePtr&, at::Device, std::chrono::milliseconds) {
  throw Error("dist.backend is nccl, and this mugato was built without it",
              "set dist.backend=gloo, or build with tools/setup --cuda");
}

}  // namespace mugato::dist
#endif
