// Causal attention of packed documents on the CPU, float32. Documents are short (tens to hundreds of tokens), so a kernel call
// per document costs more than its arithmetic; here a whole batch is one parallel loop over documents and heads.
#pragma once

#include <ATen/ATen.h>

#include <span>

#include "mugato/seq/layout.h"

namespace mugato {

// What the kernels are compiled for; the same formula, rounded differently.
enum class InstructionSet { kPlain, kAvx2, kAvx512 };
bool machine_has(InstructionSet set);
InstructionSet fastest_instruction_set();

// Whether the kernels take these tensors: contiguous float32 (B,S,3,H,D) on the CPU, D 16, 32, 64 or 128.
bool packed_attention_fits(const at::Tensor& qkv_BS3HD);

// out (B,S,H,D), zero at pads; logsumexp (B,S,H) of the scaled scores, for the backward pass.
void packed_attention_forward(const at::Tensor& qkv, std::span<const DocumentSpan> documents, at::Tensor& out,
                              at::Tensor& logsumexp, InstructionSet set = fastest_instruction_set());

// grad_qkv (B,S,3,H,D), zero at pads.
void packed_attention_backward(const at::Tensor& grad_out, const at::Tensor& qkv, const at::Tensor& out,
                               const at::Tensor& logsumexp, std::span<const DocumentSpan> documents, at::Tensor& grad_qkv,
                               InstructionSet set = fastest_instruction_set());

}  // namespace mugato
