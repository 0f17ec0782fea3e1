#include "mugato/nn/attention.h"

#include <ATen/OpMathType.h>
#include <torch/csrc/autograd/custom_function.h>

namespace mugato {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Spans : torch::CustomClassHolder {
  explicit Spans(std::span<const DocumentSpan> spans) : documents(spans.begin(), spans.end()) {}
  std::vector<DocumentSpan> documents;
};

// (B,S,3,H,D) to the (1,H,n,D) view of one document's queries, keys or values.
at::Tensor view_of(const at::Tensor& qkv, const DocumentSpan& span, int64_t part) {
  return qkv.select(0, span.row).narrow(0, span.begin, span.length).select(1, part).transpose(0, 1).unsqueeze(0);
}

at::Tensor view_of(const at::Tensor& x, const DocumentSpan& span) {
  return x.select(0, span.row).narrow(0, span.begin, span.length).transpose(0, 1).unsqueeze(0);
}

// One call per document on views, writing into one result: slicing under autograd would fill a gradient of the whole batch
// per document.
struct PackedAttention : torch::autograd::Function<PackedAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const c10::intrusive_ptr<Spans>& spans) {
    auto out = at::zeros({qkv.size(0), qkv.size(1), qkv.size(3), qkv.size(4)}, qkv.options());
    auto logsumexp =
        at::empty({qkv.size(0), qkv.size(3), qkv.size(1)}, qkv.options().dtype(at::toOpMathType(qkv.scalar_type())));
    for (const auto& span : spans->documents) {
      const auto [y, lse] = at::_scaled_dot_product_flash_attention_for_cpu(view_of(qkv, span, 0), view_of(qkv, span, 1),
                                                                            view_of(qkv, span, 2), 0.0, /*is_causal=*/true);
      view_of(out, span).copy_(y);
      logsumexp.select(0, span.row).narrow(1, span.begin, span.length).copy_(lse.squeeze(0));
    }
    ctx->save_for_backward({qkv, out, logsumexp});
    ctx->saved_data["spans"] = c10::IValue::make_capsule(spans);
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grad) {
    const auto saved = ctx->get_saved_variables();
    const auto& qkv = saved[0];
    const auto spans = c10::static_intrusive_pointer_cast<Spans>(ctx->saved_data["spans"].toCapsule());
    const auto grad_out = grad[0].contiguous();
    auto grad_qkv = at::zeros_like(qkv);
    for (const auto& span : spans->documents) {
      const auto lse = saved[2].select(0, span.row).narrow(1, span.begin, span.length).unsqueeze(0);
      const auto [q, k, v] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
          view_of(grad_out, span), view_of(qkv, span, 0), view_of(qkv, span, 1), view_of(qkv, span, 2), view_of(saved[1], span),
          lse, 0.0, /*is_causal=*/true);
      view_of(grad_qkv, span, 0).copy_(q);
      view_of(grad_qkv, span, 1).copy_(k);
      view_of(grad_qkv, span, 2).copy_(v);
    }
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

at::Tensor zero_pads(const at::Tensor& out_BSHD, std::span<const DocumentSpan> documents) {
  auto valid = at::zeros({out_BSHD.size(0), out_BSHD.size(1), 1, 1}, at::kBool);
  for (const auto& span : documents) valid.select(0, span.row).narrow(0, span.begin, span.length).fill_(true);
  return out_BSHD.masked_fill(~valid.to(out_BSHD.device()), 0);
}

}  // namespace

at::Tensor document_attention(const at::Tensor& qkv_BS3HD, std::span<const DocumentSpan> documents, double dropout) {
  const auto part = [&](int64_t i) { return qkv_BS3HD.select(2, i).transpose(1, 2); };  // (B,H,S,D)
  if (is_plain(qkv_BS3HD, documents))
    return at::scaled_dot_product_attention(part(0), part(1), part(2), {}, dropout, /*is_causal=*/true).transpose(1, 2);
  if (qkv_BS3HD.is_cpu() && dropout == 0.0) return PackedAttention::apply(qkv_BS3HD, c10::make_intrusive<Spans>(documents));
  const auto out = at::scaled_dot_product_attention(part(0), part(1), part(2), document_mask(qkv_BS3HD, documents), dropout);
  return zero_pads(out.transpose(1, 2), documents);
}

at::Tensor document_attention_reference(const at::Tensor& qkv_BS3HD, std::span<const DocumentSpan> documents) {
  const auto part = [&](int64_t i) { return qkv_BS3HD.select(2, i).transpose(1, 2); };
  const auto scores = at::matmul(part(0), part(1).transpose(2, 3)) / std::sqrt(static_cast<double>(qkv_BS3HD.size(4)));
  const auto weights = at::softmax(scores.masked_fill(~document_mask(qkv_BS3HD, documents), -INFINITY), -1);
  return zero_pads(at::matmul(weights, part(2)).transpose(1, 2), documents);
}

}  // namespace mugato
