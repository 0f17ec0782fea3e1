// Tokens to vectors (paper 2.2, C.2, C.3). Dispatches on the kind of token, never on a shape; embeds valid tokens only.
// Shape legend: B rows, S slots, D width, N id tokens, P patch tokens, U distinct patches, V vocabulary.
#pragma once

#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "mugato/seq/batch.h"
#include "mugato/seq/layout.h"

namespace mugato {

struct EmbedderOptions {
  int64_t vocabulary = 0;                // V
  int64_t width = 256;                   // D
  int64_t context = 1024;                // longest row: local positions reach this far
  int64_t patch_channels = 64;           // channels of the ResNet block; a multiple of 32, the groups of its GroupNorm
  int64_t patch_stride = 4;              // stride and kernel of the stem: 16 / stride positions a side
  std::string patch_position = "paper";  // paper: rows and columns in 128 buckets; vit: learned per raster index; none
  std::string local_position = "paper";  // paper: learned, within the timestep, actions share one; none
  double init_std = 1.0;                 // of embeddings at the start; of positions kPositionScale of it
  at::Device device = at::kCPU;          // where parameters are made
};

// Positions start smaller than what stands there: first to be told apart is what, then where.
inline constexpr double kPositionScale = 0.3;

// One v2 ResNet block per patch (paper 2.2, C.2): stem convolution, then GroupNorm-GELU-convolution twice round a skip, then
// a projection to the width. The paper leaves channels, kernel and projection open.
class PatchEmbedder : public torch::nn::Module {
 public:
  explicit PatchEmbedder(const EmbedderOptions& options);
  at::Tensor forward(const at::Tensor& patches);  // (U,768) uint8 -> (U,D)

 private:
  int64_t stride_;
  at::Tensor stem_weight_, stem_bias_;
  at::Tensor norm1_weight_, norm1_bias_, conv1_weight_, conv1_bias_;
  at::Tensor norm2_weight_, norm2_bias_, conv2_weight_, conv2_bias_;
  at::Tensor project_weight_, project_bias_;
};

class Embedder : public torch::nn::Module {
 public:
  explicit Embedder(const EmbedderOptions& options);

  at::Tensor forward(const MicroBatch& batch);  // (B,S,D); pads are zero

  // Embeds the ids or patches of one field without positions: (B,E,T,C) -> (B,E,T,D), zeros where not valid.
  at::Tensor embed_field(const BatchField& field, Modality modality);

  const at::Tensor& table() const { return table_; }  // (V,D): the lookup table, for a tied head
  const EmbedderOptions& options() const { return options_; }

 private:
  at::Tensor embed_patches(const MicroBatch& batch);

  EmbedderOptions options_;
  at::Tensor table_;
  std::shared_ptr<PatchEmbedder> patch_;
  at::Tensor patch_row_, patch_column_;  // (128,D) each
  at::Tensor patch_number_;              // vit: (context,D)
  at::Tensor local_;                     // (1 + context, D): actions, then positions in the timestep
};

// The seed contract's view: every field embedded (B,E,T,D), in the order of the timestep, and all of them concatenated on T and
// flattened to (B, E * sum T, D). For people and tests; the hot path never builds it.
struct PaddedView {
  std::vector<std::string> names;
  std::vector<at::Tensor> fields;
  at::Tensor sequence;
};
PaddedView to_padded(Embedder& embedder, const Batch& batch);

}  // namespace mugato
