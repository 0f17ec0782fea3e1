#include "mugato/nn/attention.h"

#include <torch/csrc/autograd/custom_function.h>

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

// Zeros at the pads of (B,S,...).
at::Tensor zero_pads(const at::Tensor& x, std::span<const DocumentSpan> documents) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  shape[1] = x.size(1);
  auto valid = at::zeros(shape, at::kBool);
  for (const auto& span : documents) valid.select(0, span.row).narrow(0, span.begin, span.length).fill_(true);
  return x.masked_fill(~valid.to(x.device()), 0);
}

}  // namespace

at::Tensor document_attention(const at::Tensor& qkv_BS3HD, std::span<const DocumentSpan> documents, double dropout) {
  const auto part = [&](int64_t i) { return qkv_BS3HD.select(2, i).transpose(1, 2); };  // (B,H,S,D)
  if (is_plain(qkv_BS3HD, documents))
    return at::scaled_dot_product_attention(part(0), part(1), part(2), {}, dropout, /*is_causal=*/true).transpose(1, 2);
  if (packed_attention_fits(qkv_BS3HD) && dropout == 0.0)
    return PackedAttention::apply(qkv_BS3HD, c10::make_intrusive<Spans>(documents));
  // A masked value still enters as 0 times itself, and what a pad holds may be anything.
  const auto clean = zero_pads(qkv_BS3HD, documents);
  const auto clean_part = [&](int64_t i) { return clean.select(2, i).transpose(1, 2); };
  const auto out =
      at::scaled_dot_product_attention(clean_part(0), clean_part(1), clean_part(2), document_mask(clean, documents), dropout);
  return zero_pads(out.transpose(1, 2), documents);
}

at::Tensor document_attention_reference(const at::Tensor& qkv_BS3HD, std::span<const DocumentSpan> documents) {
  const auto part = [&](int64_t i) { return qkv_BS3HD.select(2, i).transpose(1, 2); };
  const auto scores = at::matmul(part(0), part(1).transpose(2, 3)) / std::sqrt(static_cast<double>(qkv_BS3HD.size(4)));
  const auto weights = at::softmax(scores.masked_fill(~document_mask(qkv_BS3HD, documents), -INFINITY), -1);
  return zero_pads(at::matmul(weights, part(2)).transpose(1, 2), documents);
}

}  // namespace mugato
