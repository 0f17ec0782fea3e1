#include "mugato/core/version.h"

#include <ATen/Context.h>
#include <ATen/Version.h>
#include <torch/version.h>
#ifdef MUGATO_NCCL
#include <nccl.h>
#endif

namespace mugato {
namespace {

std::string dotted(int64_t major, int64_t minor) { return std::to_string(major) + "." + std::to_string(minor); }

// 91900 is 9.19.0: how cuDNN 9 and NCCL count.
[[maybe_unused]] std::string dotted(int64_t code) {
  return dotted(code / 10000, code / 100 % 100) + "." + std::to_string(code % 100);
}

std::string nccl_version() {
#ifdef MUGATO_NCCL
  int code = 0;
  if (ncclGetVersion(&code) == ncclSuccess) return dotted(code);
#endif
  return "";
}

}  // namespace

Versions versions() {
  Versions result{
      .mugato = MUGATO_VERSION, .libtorch = TORCH_VERSION, .nccl = nccl_version(), .cpu_capability = at::get_cpu_capability()};
#ifdef MUGATO_CUDA
  const auto& cuda = at::detail::getCUDAHooks();
  result.cuda = dotted(cuda.versionCUDART() / 1000, cuda.versionCUDART() / 10 % 100);
  if (cuda.compiledWithCuDNN()) result.cudnn = dotted(cuda.versionRuntimeCuDNN());
  result.num_gpus = cuda.getNumGPUs();
#endif
  return result;
}

}  // namespace mugato
