// What this build is made of, and what it finds on this machine.
#pragma once

#include <cstdint>
#include <string>

namespace mugato {

struct Versions {
  std::string mugato, libtorch;
  std::string cuda, cudnn, nccl;  // empty where built without
  int64_t num_gpus = 0;           // that LibTorch can use here
  std::string cpu_capability;     // the instruction set of LibTorch's own kernels: "AVX512", "AVX2", "DEFAULT"
};

// Asks the libraries that are loaded, not their headers; LibTorch has only the header's.
Versions versions();

}  // namespace mugato
