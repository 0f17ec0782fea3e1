// Causal attention within documents.
// Shape legend: B rows, S slots, H heads, D size of a head.
#pragma once

#include <ATen/ATen.h>

#include <span>

#include "mugato/seq/layout.h"

namespace mugato {

// qkv (B,S,3,H,D) -> (B,S,H,D): every slot attends to the slots of its document up to itself; pads give zeros. The fast path
// is chosen by device and layout; the result is that of softmax(q k^T / sqrt(D)) v within each document.
at::Tensor document_attention(const at::Tensor& qkv_BS3HD, std::span<const DocumentSpan> documents, double dropout);

// The same, written as the formula, for tests: one dense masked softmax.
at::Tensor document_attention_reference(const at::Tensor& qkv_BS3HD, std::span<const DocumentSpan> documents);

}  // namespace mugato
