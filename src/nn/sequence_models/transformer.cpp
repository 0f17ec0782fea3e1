#include "mugato/nn/sequence_models/transformer.h"

#include <numeric>

#include "mugato/core/error.h"
#include "mugato/nn/attention.h"

// Shape legend: B rows, S slots, D width, H heads, d = D / H.
namespace mugato {

struct Transformer::Block : torch::nn::Module {
  Block(const SequenceModelOptions& options) {
    const int64_t width = options.width;
    const bool gated = options.activation == "geglu";
    const int64_t hidden = gated && options.geglu_split ? options.ffn_width / 2 : options.ffn_width;
    const double residual_gain = 1.0 / std::sqrt(2.0 * static_cast<double>(options.blocks));
    const at::TensorOptions on(options.device);
    const auto parameter = [&](const char* name, at::Tensor value) { return register_parameter(name, std::move(value)); };
    const auto matrix = [&](int64_t out, int64_t in, double gain) {
      return at::randn({out, in}, on) * (gain / std::sqrt(static_cast<double>(in)));
    };
    norm1_weight = parameter("norm1_weight", at::ones({width}, on));
    norm1_bias = parameter("norm1_bias", at::zeros({width}, on));
    qkv_weight = parameter("qkv_weight", matrix(3 * width, width, 1.0));
    qkv_bias = parameter("qkv_bias", at::zeros({3 * width}, on));
    out_weight = parameter("out_weight", matrix(width, width, residual_gain));
    out_bias = parameter("out_bias", at::zeros({width}, on));
    norm2_weight = parameter("norm2_weight", at::ones({width}, on));
    norm2_bias = parameter("norm2_bias", at::zeros({width}, on));
    up_weight = parameter("up_weight", matrix(gated ? 2 * hidden : hidden, width, 1.0));
    up_bias = parameter("up_bias", at::zeros({gated ? 2 * hidden : hidden}, on));
    down_weight = parameter("down_weight", matrix(width, hidden, residual_gain));
    down_bias = parameter("down_bias", at::zeros({width}, on));
  }

  at::Tensor norm1_weight, norm1_bias, qkv_weight, qkv_bias, out_weight, out_bias;
  at::Tensor norm2_weight, norm2_bias, up_weight, up_bias, down_weight, down_bias;
};

// Keys and values of every block, (rows,H,capacity,d), filled up to a length per row.
class Transformer::Cache : public SequenceCache {
 public:
  Cache(const SequenceModelOptions& options, int64_t rows, int64_t capacity, at::TensorOptions tensor)
      : capacity_(capacity), lengths_(static_cast<size_t>(rows), 0) {
    for (int64_t i = 0; i < options.blocks; ++i)
      for (auto* side : {&keys_, &values_})
        side->push_back(at::empty({rows, options.heads, capacity, options.width / options.heads}, tensor));
  }

  void reset(int64_t row) override { lengths_[static_cast<size_t>(row)] = 0; }
  int64_t length(int64_t row) const override { return lengths_[static_cast<size_t>(row)]; }

  // Attention of each document's new tokens over what its row holds and themselves; qkv (B,S,3,H,d) -> (B,S,H,d).
  at::Tensor attend(int64_t block, const at::Tensor& qkv, std::span<const DocumentSpan> documents) {
    auto out = at::zeros({qkv.size(0), qkv.size(1), qkv.size(3), qkv.size(4)}, qkv.options());
    for (size_t i = 0; i < documents.size(); ++i) {
      const auto& span = documents[i];
      TORCH_CHECK(i == 0 || documents[i - 1].row < span.row, "row ", span.row, ": a session reads one document");
      const int64_t held = length(span.row), total = held + span.length;
      TORCH_CHECK(total <= capacity_, "row ", span.row, ": ", total, " tokens, the cache holds ", capacity_);
      const auto fresh = qkv.select(0, span.row).narrow(0, span.begin, span.length).permute({1, 2, 0, 3});  // (3,H,n,d)
      const auto keys = keys_[static_cast<size_t>(block)].select(0, span.row),
                 values = values_[static_cast<size_t>(block)].select(0, span.row);
      keys.narrow(1, held, span.length).copy_(fresh[1]);
      values.narrow(1, held, span.length).copy_(fresh[2]);
      std::optional<at::Tensor> mask;  // a new token sees all that is held and the new ones up to itself
      if (span.length > 1) mask = at::ones({span.length, total}, qkv.options().dtype(at::kBool)).tril(held);
      const auto y = at::scaled_dot_product_attention(fresh[0].unsqueeze(0), keys.narrow(1, 0, total).unsqueeze(0),
                                                      values.narrow(1, 0, total).unsqueeze(0), mask);
      out.select(0, span.row).narrow(0, span.begin, span.length).copy_(y[0].transpose(0, 1));
    }
    return out;
  }

  void advance(std::span<const DocumentSpan> documents) {
    for (const auto& span : documents) lengths_[static_cast<size_t>(span.row)] += span.length;
  }

 private:
  int64_t capacity_;
  std::vector<int64_t> lengths_;
  std::vector<at::Tensor> keys_, values_;
};

Transformer::Transformer(const SequenceModelOptions& options) : options_(options) {
  if (options.width % options.heads != 0)
    throw Error(
        "model.width " + std::to_string(options.width) + " is not a multiple of model.heads " + std::to_string(options.heads),
        "the heads share the width evenly");
  if (options.activation != "gelu" && options.activation != "gelu_tanh" && options.activation != "geglu")
    throw Error("model.activation is '" + options.activation + "'", "choose gelu, gelu_tanh or geglu");
  if (options.geglu_split && options.activation != "geglu")
    throw Error("model.geglu_split is true, and model.activation is '" + options.activation + "'",
                "only geglu has a value and a gate: set model.activation=geglu or model.geglu_split=false");
  if (options.geglu_split && options.ffn_width % 2 != 0)
    throw Error("model.ffn_width " + std::to_string(options.ffn_width) + " is odd",
                "value and gate share it: take an even one");
  const at::TensorOptions on(options.device);
  if (options.global_positions)
    positions_ = register_parameter("positions", at::randn({options.context, options.width}, on) * options.position_std);
  for (int64_t i = 0; i < options.blocks; ++i)
    blocks_.push_back(register_module("block" + std::to_string(i), std::make_shared<Block>(options)));
  norm_weight_ = register_parameter("norm_weight", at::ones({options.width}, on));
  norm_bias_ = register_parameter("norm_bias", at::zeros({options.width}, on));
}

std::unique_ptr<SequenceCache> Transformer::make_cache(int64_t rows, int64_t capacity) {
  if (positions_.defined() && capacity > options_.context)
    throw Error(
        "a cache of " + std::to_string(capacity) + " tokens, and learned positions for " + std::to_string(options_.context),
        "ask for at most the context that the model was built with, or train with a larger train.context");
  return std::make_unique<Cache>(options_, rows, capacity, norm_weight_.options().requires_grad(false));
}

// Dropout, then the whole sub-layer left out for a row with the probability of stochastic depth.
at::Tensor Transformer::drop(const at::Tensor& residual) const {
  if (!is_training()) return residual;
  auto x = options_.dropout > 0.0 ? at::dropout(residual, options_.dropout, true) : residual;
  if (options_.stochastic_depth <= 0.0) return x;
  const double keep = 1.0 - options_.stochastic_depth;
  return x * at::empty({x.size(0), 1, 1}, x.options().requires_grad(false)).bernoulli_(keep).div_(keep);
}

at::Tensor Transformer::attend(const Block& block, const at::Tensor& x, const Attend& attention) const {
  const auto normed = at::layer_norm(x, {options_.width}, block.norm1_weight, block.norm1_bias);
  const auto qkv = at::linear(normed, block.qkv_weight, block.qkv_bias)
                       .view({x.size(0), x.size(1), 3, options_.heads, options_.width / options_.heads});
  return attention(qkv).flatten(2);
}

at::Tensor Transformer::project(const Block& block, const at::Tensor& attended) const {
  return drop(at::linear(attended, block.out_weight, block.out_bias));
}

at::Tensor Transformer::feed_forward(const Block& block, const at::Tensor& x) const {
  const auto normed = at::layer_norm(x, {options_.width}, block.norm2_weight, block.norm2_bias);
  auto hidden = at::linear(normed, block.up_weight, block.up_bias);
  if (options_.activation == "geglu") {
    const auto halves = hidden.chunk(2, -1);
    hidden = halves[0] * at::gelu(halves[1]);
  } else {
    hidden = at::gelu(hidden, options_.activation == "gelu_tanh" ? "tanh" : "none");
  }
  return drop(at::linear(hidden, block.down_weight, block.down_bias));
}

at::Tensor Transformer::final_norm(const at::Tensor& x) const {
  return at::layer_norm(x, {options_.width}, norm_weight_, norm_bias_);
}

// Most tokens are read, not written: past the attention of the last block only the wanted slots go on.
at::Tensor Transformer::finish_wanted(const Block& block, const at::Tensor& x, const at::Tensor& attended,
                                      const at::Tensor& wanted) const {
  const auto pick = [&](const at::Tensor& rows_BSD) { return rows_BSD.flatten(0, 1).index_select(0, wanted); };
  auto picked = pick(x) + project(block, pick(attended));
  picked = final_norm(picked + feed_forward(block, picked));
  return at::zeros({x.size(0) * x.size(1), x.size(2)}, picked.options()).index_copy(0, wanted, picked).view(x.sizes());
}

at::Tensor Transformer::forward(const SequenceInput& input, SequenceCache* cache) {
  auto* own_cache = dynamic_cast<Cache*>(cache);
  TORCH_CHECK(!cache || own_cache, "a cache of another model");
  TORCH_CHECK(!cache || !at::GradMode::is_enabled(), "a cached pass has no gradients");
  if (input.after_block && options_.blocks == 0)
    throw Error("a hook is to be called after each block, and the transformer has no blocks",
                "set model.blocks to 1 or more, or leave the hook out");
  auto x = input.x;
  if (positions_.defined()) {
    const auto& position = input.layout.position;
    TORCH_CHECK(position.numel() == 0 || input.layout.capacity <= options_.context, "a document longer than model.context");
    x = x + at::embedding(positions_, position);
  }
  // Stochastic depth draws per row, so there a block is finished for whole rows.
  const bool narrow = input.wanted.defined() && !input.after_block && !(is_training() && options_.stochastic_depth > 0.0);
  const auto& documents = input.layout.documents;
  DocumentAttention attention(documents);
  for (int64_t i = 0; i < options_.blocks; ++i) {
    const auto& block = *blocks_[static_cast<size_t>(i)];
    const auto attended = attend(block, x, [&](const at::Tensor& qkv) {
      return own_cache ? own_cache->attend(i, qkv, documents) : attention(qkv, is_training() ? options_.dropout : 0.0);
    });
    if (narrow && i + 1 == options_.blocks) {
      if (own_cache) own_cache->advance(documents);
      return finish_wanted(block, x, attended, input.wanted);
    }
    x = x + project(block, attended);
    x = x + feed_forward(block, x);
    if (input.after_block) x = input.after_block(i, x);
  }
  if (own_cache) own_cache->advance(documents);
  return final_norm(x);
}

void register_builtins(SequenceModelRegistry& registry) {
  registry.add("transformer", [](const SequenceModelOptions& options) { return std::make_shared<Transformer>(options); });
}

}  // namespace mugato
