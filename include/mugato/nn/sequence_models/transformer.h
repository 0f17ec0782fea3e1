// The paper's trunk: a pre-norm causal transformer (paper C.1).
#pragma once

#include <vector>

#include "mugato/nn/sequence_model.h"

namespace mugato {

class Transformer : public SequenceModel {
 public:
  explicit Transformer(const SequenceModelOptions& options);  // throws Error for options that do not go together

  // Throws Error for a hook without blocks.
  at::Tensor forward(const SequenceInput& input, SequenceCache* cache) override;
  int64_t width() const override { return options_.width; }
  int64_t num_blocks() const override { return options_.blocks; }
  // With learned positions, throws Error for a capacity beyond them.
  std::unique_ptr<SequenceCache> make_cache(int64_t rows, int64_t capacity) override;

 private:
  struct Block;
  class Cache;
  using Attend = std::function<at::Tensor(const at::Tensor& qkv_BS3HD)>;
  at::Tensor attend(const Block& block, const at::Tensor& x, const Attend& attention) const;
  at::Tensor project(const Block& block, const at::Tensor& attended) const;
  at::Tensor feed_forward(const Block& block, const at::Tensor& x) const;
  at::Tensor finish_wanted(const Block& block, const at::Tensor& x, const at::Tensor& attended, const at::Tensor& wanted) const;
  at::Tensor final_norm(const at::Tensor& x) const;
  at::Tensor drop(const at::Tensor& residual) const;

  SequenceModelOptions options_;
  std::vector<std::shared_ptr<Block>> blocks_;
  at::Tensor positions_;  // (context, D), with global_positions
  at::Tensor norm_weight_, norm_bias_;
};

}  // namespace mugato
