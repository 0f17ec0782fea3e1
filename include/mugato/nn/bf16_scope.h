// What train.bf16 means: autocast, for the forward pass and its loss.
#pragma once

#include <ATen/autocast_mode.h>

namespace mugato {

// Autocast to bf16 while it lives.
class Bf16Scope {
 public:
  Bf16Scope(bool enabled, at::DeviceType device) : device_(device), before_(at::autocast::is_autocast_enabled(device)) {
    if (enabled) at::autocast::set_autocast_dtype(device, at::kBFloat16);
    at::autocast::set_autocast_enabled(device, enabled);
  }
  ~Bf16Scope() {
    at::autocast::set_autocast_enabled(device_, before_);
    at::autocast::clear_cache();
  }
  Bf16Scope(const Bf16Scope&) = delete;
  Bf16Scope& operator=(const Bf16Scope&) = delete;

 private:
  at::DeviceType device_;
  bool before_;
};

}  // namespace mugato
