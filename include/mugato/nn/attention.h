// Causal attention within documents.
// Shape legend: B rows, S slots, H heads, D size of a head.
#pragma once

#include <ATen/ATen.h>

#include <span>

#include "mugato/seq/layout.h"

namespace mugato {

// Causal attention within the documents of one layout: softmax(q k^T / sqrt(D)) v over the slots of a document up to the slot
// itself; pads give zeros. What follows from the documents alone (a mask, lists of slots) is made once and serves every block
// of a forward pass. The path is chosen by device, type and layout:
//   rows that are one document each     scaled_dot_product_attention, causal
//   packed, CPU, float32                our kernel (src/nn/packed_attention_cpu.h)
//   packed, CUDA, bfloat16 or float16   variable-length flash attention, from compute capability 8.0 on
//   else                                scaled_dot_product_attention with a (B,1,S,S) mask
class DocumentAttention {
 public:
  // Keeps no copy: `documents` has to live as long.
  explicit DocumentAttention(std::span<const DocumentSpan> documents) : documents_(documents) {}

  // qkv (B,S,3,H,D) -> (B,S,H,D); every call has the same B, S and device.
  at::Tensor operator()(const at::Tensor& qkv_BS3HD, double dropout);

 private:
  at::Tensor attend_flash(const at::Tensor& qkv_BS3HD, double dropout);
  at::Tensor attend_masked(const at::Tensor& qkv_BS3HD, double dropout);

  std::span<const DocumentSpan> documents_;
  at::Tensor mask_, pads_;     // (B,1,S,S) of who sees whom; (B,S) of the slots of no document
  at::Tensor slots_, starts_;  // valid flat slots, document after document; where each begins among them, and the end: int32
  int64_t longest_ = 0;
};

// One call of it.
at::Tensor document_attention(const at::Tensor& qkv_BS3HD, std::span<const DocumentSpan> documents, double dropout);

// The same, written as the formula, for tests: one dense masked softmax.
at::Tensor document_attention_reference(const at::Tensor& qkv_BS3HD, std::span<const DocumentSpan> documents);

}  // namespace mugato
