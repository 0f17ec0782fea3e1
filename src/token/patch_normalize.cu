// Patch bytes to floats in one pass: every byte is read once and every float written once, both in 16-byte pieces.
#include <cuda_runtime.h>

#include "patch_normalize.h"

namespace {

constexpr int kPatchPixels = 16 * 16;
constexpr int kPatchLoads = kPatchPixels * 3 / 16;  // 16-byte pieces of a patch: 48
constexpr int kPatchThreads = kPatchPixels / 4;     // a thread writes 4 pixels of all three planes: 64
constexpr int kPatchesPerBlock = 4;
constexpr int kBlockThreads = kPatchesPerBlock * kPatchThreads;
constexpr int kBlockLoads = kPatchesPerBlock * kPatchLoads;
static_assert(kBlockLoads <= kBlockThreads, "one load a thread");

// The integer numerator is exact, so there is one rounding, that of the division, and the CPU's result is met bit for bit.
__device__ __forceinline__ float normalized(unsigned int byte) {
  return __fdiv_rn(static_cast<float>(2 * static_cast<int>(byte) - 255), 1020.0f);
}

__device__ __forceinline__ float normalized_byte_of(const unsigned int (&words)[3], int index) {
  return normalized((words[index / 4] >> (8 * (index % 4))) & 0xffu);
}

// A block stages 4 patches in shared memory: global loads are then 16 bytes a thread, and the 12 bytes that a thread needs for
// 4 pixels are three words at a stride of three words, which meet every bank once.
__global__ void __launch_bounds__(kBlockThreads)
    normalize_kernel(const uint4* __restrict__ patches, int64_t num_patches, float4* __restrict__ planes) {
  __shared__ uint4 staged[kBlockLoads];
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t first_patch = static_cast<int64_t>(blockIdx.x) * kPatchesPerBlock;
  const int64_t load = first_patch * kPatchLoads + thread;
  if (thread < kBlockLoads && load < num_patches * kPatchLoads) staged[thread] = __ldg(patches + load);
  __syncthreads();

  const int64_t patch = first_patch + thread / kPatchThreads;
  if (patch >= num_patches) return;
  const unsigned int* words_of_block = reinterpret_cast<const unsigned int*>(staged);
  unsigned int words[3];
#pragma unroll
  for (int i = 0; i < 3; ++i) words[i] = words_of_block[3 * thread + i];
  float4* out = planes + patch * (3 * kPatchThreads) + thread % kPatchThreads;
#pragma unroll
  for (int channel = 0; channel < 3; ++channel)
    out[channel * kPatchThreads] = make_float4(normalized_byte_of(words, channel), normalized_byte_of(words, 3 + channel),
                                               normalized_byte_of(words, 6 + channel), normalized_byte_of(words, 9 + channel));
}

}  // namespace

extern "C" const char* mugato_normalize_patches(const uint8_t* patches, int64_t num_patches, float* normalized, void* stream) {
  if (num_patches == 0) return nullptr;
  const unsigned int num_blocks = static_cast<unsigned int>((num_patches + kPatchesPerBlock - 1) / kPatchesPerBlock);
  normalize_kernel<<<num_blocks, kBlockThreads, 0, static_cast<cudaStream_t>(stream)>>>(
      reinterpret_cast<const uint4*>(patches), num_patches, reinterpret_cast<float4*>(normalized));
  const cudaError_t status = cudaGetLastError();
  return status == cudaSuccess ? nullptr : cudaGetErrorString(status);
}
