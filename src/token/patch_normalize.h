// The CUDA kernel of normalize_patches behind a plain C interface: the file that defines it sees no LibTorch header.
#pragma once

#include <cstdint>

extern "C" {

// patches: num_patches * 768 bytes on the device, aligned to 16 bytes, each pixel R, G, B. normalized: num_patches * 3 * 16 *
// 16 floats on the device, aligned to 16 bytes; byte b becomes (2 b - 255) / 1020, rounded once, as on the CPU. stream: a
// cudaStream_t. Returns nullptr when the launch was accepted, else CUDA's own message.
const char* mugato_normalize_patches(const uint8_t* patches, int64_t num_patches, float* normalized, void* stream);
}
