// The one swappable part of an agent: embedded rows to hidden states, causal, documents apart.
// Shape legend: B rows, S slots, D width.
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <string>

#include "mugato/core/registry.h"
#include "mugato/seq/layout.h"

namespace mugato {

// Called with (i, x) inside block i, after it; returns the x to go on with. That is where cross-attention to other media
// enters any trunk without reaching into it.
using BlockHook = std::function<at::Tensor(int64_t block, const at::Tensor& x_BSD)>;

struct SequenceInput {
  at::Tensor x;               // (B,S,D)
  const TokenLayout& layout;  // which slots are which document, and where in it
  BlockHook after_block = {};
  at::Tensor wanted = {};  // (K) distinct flat slots whose outputs are read; a trunk may leave the others out. None: all
};

// What a trunk keeps of the tokens it has seen, a session a row.
class SequenceCache {
 public:
  virtual ~SequenceCache() = default;
  virtual void reset(int64_t row) = 0;            // forget one session
  virtual int64_t length(int64_t row) const = 0;  // tokens kept
};

struct SequenceModelOptions {
  int64_t width = 256;  // D
  int64_t blocks = 4;
  int64_t heads = 4;
  int64_t ffn_width = 1024;          // hidden size of the feed-forward layer
  std::string activation = "geglu";  // gelu, gelu_tanh, geglu
  bool geglu_split = false;          // ffn_width is shared by value and gate, halving both
  double dropout = 0.0;
  double stochastic_depth = 0.0;  // probability of leaving out a sub-layer for a row (paper appendix D: 0.1)
  int64_t context = 1024;         // longest document
  bool global_positions = false;  // learned positions in the document, as GPT-2 has them
  double position_std = 0.3;      // standard deviation of those at the start
  at::Device device = at::kCPU;   // where parameters are made; kMeta: shapes without memory, to count them
};

class SequenceModel : public torch::nn::Module {
 public:
  // (B,S,D) -> (B,S,D). A slot sees the slots before it in its document, itself, and nothing else; what comes out at a pad
  // means nothing. With a cache, a row holds at most one document, whose tokens continue those that the cache holds, and rows
  // may bring different numbers of them; autograd is off.
  virtual at::Tensor forward(const SequenceInput& input, SequenceCache* cache) = 0;

  virtual int64_t width() const = 0;
  virtual int64_t num_blocks() const = 0;  // 0: no place to call a hook; an input with one is refused with an Error

  // `rows` sessions of up to `capacity` tokens. Throws Error when the trunk can not act step by step, or not for that long.
  virtual std::unique_ptr<SequenceCache> make_cache(int64_t rows, int64_t capacity) = 0;
};

using SequenceModelRegistry = Registry<std::shared_ptr<SequenceModel>(const SequenceModelOptions&)>;

// transformer
void register_builtins(SequenceModelRegistry& registry);

}  // namespace mugato
