// Autocast to bfloat16 on the CPU while it lives.
#pragma once

#include <ATen/autocast_mode.h>

namespace mugato::testing {

struct Bf16Scope {
  Bf16Scope() {
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCPU, true);
  }
  ~Bf16Scope() {
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::clear_cache();
  }
  Bf16Scope(const Bf16Scope&) = delete;
  Bf16Scope& operator=(const Bf16Scope&) = delete;
};

}  // namespace mugato::testing
