// A sequence model of one's own, registered in one line and trained for ten steps through the public API.
#include <cstdio>

#include "mugato/core/error.h"
#include "mugato/run/evaluate.h"
#include "mugato/run/run.h"

// Every token mixes in the kReach tokens before it in its document: y_t = x_t + gelu(sum_k x_{t-k} W_k) V.
class CausalConvolution : public mugato::SequenceModel {
 public:
  static constexpr int64_t kReach = 4;

  explicit CausalConvolution(const mugato::SequenceModelOptions& options) : width_(options.width) {
    const double std = 1.0 / std::sqrt(static_cast<double>(kReach * width_));
    mix_ = register_parameter("mix", at::randn({kReach, width_, width_}) * std);
    out_ = register_parameter("out", at::randn({width_, width_}) * std);
  }

  at::Tensor forward(const mugato::SequenceInput& input, mugato::SequenceCache*) override {
    if (input.after_block) throw mugato::Error("conv has no blocks to hook into", "take model.trunk = \"transformer\"");
    auto sum = at::matmul(input.x, mix_[0]);
    for (int64_t k = 1; k < std::min(kReach, input.x.size(1)); ++k) {
      // (B,S,D) moved right by k; what would come from before the start of the document is zero.
      const auto before = at::constant_pad_nd(input.x.narrow(1, 0, input.x.size(1) - k), {0, 0, k, 0});
      const auto is_start = (input.layout.position < k).unsqueeze(2);
      sum = sum + at::matmul(before.masked_fill(is_start, 0), mix_[k]);
    }
    return input.x + at::matmul(at::gelu(sum), out_);
  }

  int64_t width() const override { return width_; }
  int64_t num_blocks() const override { return 0; }
  std::unique_ptr<mugato::SequenceCache> make_cache(int64_t, int64_t) override {
    throw mugato::Error("conv can not act step by step", "write its make_cache first");
  }

 private:
  int64_t width_;
  at::Tensor mix_, out_;
};

int main(int, char** argv) {
  mugato::run::Registries registries;
  registries.sequence_models.add("conv", [](const auto& options) { return std::make_shared<CausalConvolution>(options); });

  const auto config = mugato::run::parse_config(
      "model.preset = 'tiny'\nmodel.trunk = 'conv'\ntrain = {steps = 10, rows = 2, context = 256}\noptim.warmup = 2\n"
      "[[data]]\nsource = 'four_rooms'\nmax_steps = 4\n",
      "own_model.cpp", {std::string("tokens.text=") + argv[1], std::string("run.out=") + argv[2]});
  const auto loss = [&](const auto& parts) { return mugato::run::held_out_losses(parts, registries, 8).at("loss"); };
  const double before = loss(mugato::run::Parts::build(config, registries));
  mugato::run::train(config, registries, /*resume=*/false);
  const double after = loss(mugato::run::Parts::load(config.out, registries));
  std::printf("held-out loss: %.3f before, %.3f after ten steps\n", before, after);
  return std::isfinite(after) && after < before ? 0 : 1;
}
