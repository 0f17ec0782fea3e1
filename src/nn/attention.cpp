#include "mugato/nn/attention.h"

#include <torch/csrc/autograd/custom_function.h>

#ifdef MUGATO_CUDA
#include <ATen/cuda/CUDAContextLight.h>
#endif

#include "packed_attention_cpu.h"

namespace mugato {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Spans : torch::CustomClassHolder {
  explicit Spans(std::span<const DocumentSpan> spans) : documents(spans.begin(), spans.end()) {}
  std::vector<DocumentSpan> documents;
};

// One parallel loop over documents and heads; slicing per document under autograd would fill a gradient of the whole batch
// each time.
struct PackedAttention : torch::autograd::Function<PackedAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const c10::intrusive_ptr<Spans>& spans) {
    auto out = at::zeros({qkv.size(0), qkv.size(1), qkv.size(3), qkv.size(4)}, qkv.options());
    auto logsumexp = at::empty({qkv.size(0), qkv.size(1), qkv.size(3)}, qkv.options());
    packed_attention_forward(qkv, spans->documents, out, logsumexp);
    ctx->save_for_backward({qkv, out, logsumexp});
    ctx->saved_data["spans"] = c10::IValue::make_capsule(spans);
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grad) {
    const auto saved = ctx->get_saved_variables();
    const auto spans = c10::static_intrusive_pointer_cast<Spans>(ctx->saved_data["spans"].toCapsule());
    auto grad_qkv = at::zeros_like(saved[0]);
    packed_attention_backward(grad[0].contiguous(), saved[0], saved[1], saved[2], spans->documents, grad_qkv);
    return {grad_qkv, at::Tensor()};
  }
};

bool is_plain(const at::Tensor& qkv, std::span<const DocumentSpan> documents) {
  if (static_cast<int64_t>(documents.size()) != qkv.size(0)) return false;
  return std::all_of(documents.begin(), documents.end(), [&](const auto& span) { return span.length == qkv.size(1); });
}

// (B,1,S,S) of who may see whom; a pad sees itself, so that its row of the softmax is defined.
at::Tensor document_mask(const at::Tensor& qkv, std::span<const DocumentSpan> documents) {
  const int64_t rows = qkv.size(0), slots = qkv.size(1);
  auto number = at::arange(slots, at::kLong).neg().sub(1).repeat({rows, 1});
  int64_t next = 0;
  for (const auto& span : documents) number.select(0, span.row).narrow(0, span.begin, span.length).fill_(next++);
  number = number.to(qkv.device());
  return (number.unsqueeze(1) == number.unsqueeze(2)).tril().unsqueeze(1);
}

// (B,S) of the slots of no document.
at::Tensor pads_of(const at::Tensor& qkv, std::span<const DocumentSpan> documents) {
  auto pads = at::ones({qkv.size(0), qkv.size(1)}, at::kBool);
  for (const auto& span : documents) pads.select(0, span.row).narrow(0, span.begin, span.length).fill_(false);
  return pads.to(qkv.device());
}

// Zeros at the pads of (B,S,...).
at::Tensor zero_pads(const at::Tensor& x, at::Tensor pads_BS) {
  while (pads_BS.dim() < x.dim()) pads_BS = pads_BS.unsqueeze(-1);
  return x.masked_fill(pads_BS, 0);
}

// Query, key or value: (B,H,S,D).
at::Tensor part_of(const at::Tensor& qkv, int64_t i) { return qkv.select(2, i).transpose(1, 2); }

bool flash_fits([[maybe_unused]] const at::Tensor& qkv) {
#ifdef MUGATO_CUDA
  const bool half = qkv.scalar_type() == at::kBFloat16 || qkv.scalar_type() == at::kHalf;
  return qkv.is_cuda() && half && qkv.size(4) % 8 == 0 && qkv.size(4) <= 256 &&
         at::cuda::getDeviceProperties(qkv.get_device())->major >= 8;
#else
  return false;
#endif
}

}  // namespace

at::Tensor DocumentAttention::operator()(const at::Tensor& qkv, double dropout) {
  if (is_plain(qkv, documents_))
    return at::scaled_dot_product_attention(part_of(qkv, 0), part_of(qkv, 1), part_of(qkv, 2), {}, dropout, /*is_causal=*/true)
        .transpose(1, 2);
  if (packed_attention_fits(qkv) && dropout == 0.0) return PackedAttention::apply(qkv, c10::make_intrusive<Spans>(documents_));
  if (flash_fits(qkv) && !documents_.empty()) return attend_flash(qkv, dropout);
  return attend_masked(qkv, dropout);
}

// One kernel call for all documents, one behind the other; pads are neither read nor written.
at::Tensor DocumentAttention::attend_flash(const at::Tensor& qkv, double dropout) {
  if (!slots_.defined()) {
    std::vector<at::Tensor> slots;
    std::vector<int32_t> starts{0};
    for (const auto& span : documents_) {
      const int64_t first = span.row * qkv.size(1) + span.begin;
      slots.push_back(at::arange(first, first + span.length, at::kLong));
      starts.push_back(starts.back() + static_cast<int32_t>(span.length));
      longest_ = std::max(longest_, span.length);
    }
    slots_ = at::cat(slots).to(qkv.device());
    starts_ = at::tensor(starts, at::kInt).to(qkv.device());
  }
  const auto packed = qkv.flatten(0, 1).index_select(0, slots_);  // (tokens,3,H,D)
  const auto out = std::get<0>(at::_flash_attention_forward(packed.select(1, 0), packed.select(1, 1), packed.select(1, 2),
                                                            starts_, starts_, longest_, longest_, dropout, /*is_causal=*/true,
                                                            /*return_debug_mask=*/false, std::optional<double>{}));
  return at::zeros({qkv.size(0) * qkv.size(1), qkv.size(3), qkv.size(4)}, qkv.options())
      .index_copy(0, slots_, out)
      .view({qkv.size(0), qkv.size(1), qkv.size(3), qkv.size(4)});
}

at::Tensor DocumentAttention::attend_masked(const at::Tensor& qkv, double dropout) {
  if (!mask_.defined()) {
    mask_ = document_mask(qkv, documents_);
    pads_ = pads_of(qkv, documents_);
  }
  // A masked value still enters as 0 times itself, and what a pad holds may be anything.
  const auto clean = zero_pads(qkv, pads_);
  const auto out = at::scaled_dot_product_attention(part_of(clean, 0), part_of(clean, 1), part_of(clean, 2), mask_, dropout);
  return zero_pads(out.transpose(1, 2), pads_);
}

at::Tensor document_attention(const at::Tensor& qkv_BS3HD, std::span<const DocumentSpan> documents, double dropout) {
  return DocumentAttention(documents)(qkv_BS3HD, dropout);
}

at::Tensor document_attention_reference(const at::Tensor& qkv, std::span<const DocumentSpan> documents) {
  const auto scores =
      at::matmul(part_of(qkv, 0), part_of(qkv, 1).transpose(2, 3)) / std::sqrt(static_cast<double>(qkv.size(4)));
  const auto weights = at::softmax(scores.masked_fill(~document_mask(qkv, documents), -INFINITY), -1);
  return zero_pads(at::matmul(weights, part_of(qkv, 2)).transpose(1, 2), pads_of(qkv, documents));
}

}  // namespace mugato
