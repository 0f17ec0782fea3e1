#include "mugato/nn/embedder.h"

#include <ATen/ops/conv2d.h>

#include "mugato/core/error.h"

namespace mugato {
namespace {

constexpr int64_t kGroups = 32;

// Parameters at the start, where the options say.
struct Start {
  at::TensorOptions device;
  at::Tensor normal(at::IntArrayRef shape, double std) const { return at::randn(shape, device) * std; }
  at::Tensor zeros(int64_t size) const { return at::zeros({size}, device); }
  at::Tensor ones(int64_t size) const { return at::ones({size}, device); }

  // He initialisation for a convolution (out, in, k, k) or a projection (out, in).
  at::Tensor fan_in(at::IntArrayRef shape, double gain) const {
    int64_t fan = 1;
    for (const int64_t size : shape.slice(1)) fan *= size;
    return normal(shape, gain / std::sqrt(static_cast<double>(fan)));
  }
};

}  // namespace

PatchEmbedder::PatchEmbedder(const EmbedderOptions& options) : stride_(options.patch_stride) {
  const int64_t channels = options.patch_channels, side = kPatchSize / stride_;
  if (channels % kGroups != 0)
    throw Error("model.patch_channels is " + std::to_string(channels),
                "the block's GroupNorm has 32 groups: take a multiple of 32");
  if (kPatchSize % stride_ != 0) throw Error("model.patch_stride is " + std::to_string(stride_), "it has to divide 16");
  const Start start{options.device};
  const auto parameter = [&](const char* name, at::Tensor value) { return register_parameter(name, std::move(value)); };
  stem_weight_ = parameter("stem_weight", start.fan_in({channels, 3, stride_, stride_}, 4.0));  // pixels are in [-1/4, 1/4]
  stem_bias_ = parameter("stem_bias", start.zeros(channels));
  norm1_weight_ = parameter("norm1_weight", start.ones(channels));
  norm1_bias_ = parameter("norm1_bias", start.zeros(channels));
  conv1_weight_ = parameter("conv1_weight", start.fan_in({channels, channels, 3, 3}, std::sqrt(2.0)));
  conv1_bias_ = parameter("conv1_bias", start.zeros(channels));
  norm2_weight_ = parameter("norm2_weight", start.ones(channels));
  norm2_bias_ = parameter("norm2_bias", start.zeros(channels));
  conv2_weight_ = parameter("conv2_weight", start.fan_in({channels, channels, 3, 3}, std::sqrt(2.0)));
  conv2_bias_ = parameter("conv2_bias", start.zeros(channels));
  // The block's output has a size of about one per element; the projection brings it to the scale of the other embeddings.
  project_weight_ = parameter("project_weight", start.fan_in({options.width, channels * side * side}, options.init_std));
  project_bias_ = parameter("project_bias", start.zeros(options.width));
}

at::Tensor PatchEmbedder::forward(const at::Tensor& patches) {
  const auto pixels = normalize_patches(patches).to(stem_weight_.scalar_type());
  const auto x = at::conv2d(pixels, stem_weight_, stem_bias_, stride_);
  auto h = at::conv2d(at::gelu(at::group_norm(x, kGroups, norm1_weight_, norm1_bias_)), conv1_weight_, conv1_bias_, 1, 1);
  h = at::conv2d(at::gelu(at::group_norm(h, kGroups, norm2_weight_, norm2_bias_)), conv2_weight_, conv2_bias_, 1, 1);
  return at::linear((x + h).flatten(1), project_weight_, project_bias_);
}

Embedder::Embedder(const EmbedderOptions& options) : options_(options) {
  const Start start{options.device};
  const double std = options.init_std, position_std = kPositionScale * std;
  table_ = register_parameter("table", start.normal({options.vocabulary, options.width}, std));
  patch_ = register_module("patch", std::make_shared<PatchEmbedder>(options));
  if (options.patch_position == "paper") {
    patch_row_ = register_parameter("patch_row", start.normal({kPatchPositionBuckets, options.width}, position_std));
    patch_column_ = register_parameter("patch_column", start.normal({kPatchPositionBuckets, options.width}, position_std));
  } else if (options.patch_position == "vit") {
    patch_number_ = register_parameter("patch_number", start.normal({options.context, options.width}, position_std));
  } else if (options.patch_position != "none") {
    throw Error("model.patch_position is '" + options.patch_position + "'", "choose paper, vit or none");
  }
  if (options.local_position == "paper")
    local_ = register_parameter("local", start.normal({1 + options.context, options.width}, position_std));
  else if (options.local_position != "none")
    throw Error("model.local_position is '" + options.local_position + "'", "choose paper or none");
}

at::Tensor Embedder::embed_patches(const MicroBatch& batch) {
  const auto& layout = batch.layout;
  // Every distinct patch is embedded once; positions are added after the gather, so the result is the same.
  auto x = at::embedding(patch_->forward(batch.patches), layout.patch_index);
  if (patch_row_.defined())
    x = x + at::embedding(patch_row_, layout.patch_row) + at::embedding(patch_column_, layout.patch_column);
  if (patch_number_.defined()) x = x + at::embedding(patch_number_, layout.patch_number);
  return x;
}

at::Tensor Embedder::forward(const MicroBatch& batch) {
  const auto& layout = batch.layout;
  TORCH_CHECK(layout.capacity <= options_.context, "a row of ", layout.capacity, " slots, positions reach ", options_.context);
  auto tokens = at::embedding(table_, layout.id_values);
  if (layout.cell_index.size(0) > 0) tokens = tokens.index_add(0, layout.cell_index, at::embedding(table_, layout.cell_values));
  if (layout.patch_index.size(0) > 0) tokens = at::cat({tokens, embed_patches(batch)});
  if (local_.defined()) tokens = tokens + at::embedding(local_, layout.local.flatten().index_select(0, layout.slots) + 1);
  auto x = at::zeros({layout.rows * layout.capacity, options_.width}, tokens.options());
  return x.index_copy(0, layout.slots, tokens).view({layout.rows, layout.capacity, options_.width});
}

at::Tensor Embedder::embed_field(const BatchField& field, Modality modality) {
  const auto valid = field.valid.flatten();
  const auto picked = field.tokens.flatten(0, 2).index({valid});  // valid tokens only: (n,C)
  const auto embedded = modality == Modality::kImage ? patch_->forward(picked) : at::embedding(table_, picked).sum(1);
  auto x = at::zeros({valid.size(0), options_.width}, embedded.options());
  x = x.index_copy(0, valid.nonzero().squeeze(1), embedded);
  return x.view({field.tokens.size(0), field.tokens.size(1), field.tokens.size(2), options_.width});
}

PaddedView to_padded(Embedder& embedder, const Batch& batch) {
  PaddedView view;
  const auto order = step_order(*batch.schema);
  for (const auto* group : {&order.observations, &order.targets})
    for (const size_t i : *group) {
      view.names.push_back(batch.schema->fields[i].name);
      view.fields.push_back(embedder.embed_field(batch.fields[i], batch.schema->fields[i].modality));
    }
  view.sequence = concatenate_and_flatten(view.fields);
  return view;
}

}  // namespace mugato
