// Small agents with every feature of the presets, and random batches for them.
// Shape legend: B rows, S slots, D width.
#pragma once

#include <functional>

#include "mugato/nn/agent.h"
#include "random_episodes.h"

namespace mugato::testing {

inline constexpr int64_t kTestContext = 128;

inline AgentOptions small_agent_options() {
  AgentOptions options;
  options.sequence = {.width = 16, .blocks = 2, .heads = 2, .ffn_width = 24, .context = kTestContext};
  options.embedder = {.vocabulary = small_vocabulary().size(), .patch_channels = 64, .patch_stride = 8};
  options.init_std = 0.02;
  return options;
}

struct Features {
  std::string name;
  AgentOptions options;
  at::ScalarType type = at::kDouble;
};

inline void PrintTo(const Features& features, std::ostream* out) { *out << features.name; }

inline std::string name_of_features(const ::testing::TestParamInfo<Features>& info) { return info.param.name; }

// What the presets and switches combine: gato, gpt2, and the rest of the switches.
inline std::vector<Features> all_features() {
  std::vector<Features> all{{"gato", small_agent_options()},
                            {"gpt2", small_agent_options()},
                            {"gelu_vit", small_agent_options()},
                            {"split_geglu_without_positions", small_agent_options()}};
  auto& gpt2 = all[1].options;
  gpt2.sequence.activation = "gelu_tanh";
  gpt2.sequence.global_positions = true;
  gpt2.embedder.local_position = "none";
  gpt2.tied_head = true;
  all[2].options.sequence.activation = "gelu";
  all[2].options.embedder.patch_position = "vit";
  all[3].options.sequence.geglu_split = true;
  all[3].options.sequence.global_positions = true;
  all[3].options.embedder.patch_position = "none";
  return all;
}

// In float32 with heads of 16 and 32, which go through the kernel that training on a CPU uses.
inline std::vector<Features> float_features() {
  std::vector<Features> all;
  for (const int64_t heads : {4, 2})
    for (auto features : all_features()) {
      features.name += "_float_heads_of_" + std::to_string(64 / heads);
      features.type = at::kFloat;
      features.options.sequence.width = 64;
      features.options.sequence.heads = heads;
      all.push_back(features);
    }
  return all;
}

// Weights far from their small start, so that every part of a model shows in what comes out of it.
inline void shake(torch::nn::Module& module, double scale = 0.2) {
  const at::NoGradGuard no_grad;
  for (auto& parameter : module.parameters()) parameter.add_(at::randn_like(parameter), scale);
}

// In evaluation mode; in double precision, where it takes part in all that the tests of invariants ask.
inline std::shared_ptr<Agent> make_small_agent(const AgentOptions& options, at::ScalarType type = at::kDouble) {
  at::manual_seed(0);
  SequenceModelRegistry registry("sequence model");
  register_builtins(registry);
  auto agent = make_agent(options, registry);
  shake(*agent);
  agent->to(type);
  agent->eval();
  return agent;
}

// Zeros for a parameter that nothing in the batch used.
inline at::Tensor gradient_of(const at::Tensor& parameter) {
  return parameter.grad().defined() ? parameter.grad().clone() : at::zeros_like(parameter);
}

// A micro-batch of one row that holds one document, with `spare` slots of pads.
inline MicroBatch alone(const Sequencer& sequencer, const Sample& sample, int64_t spare = 0) {
  const std::vector<std::vector<Sample>> rows{{sample}};
  return sequencer.lay_out(rows, sequencer.num_tokens(sample) + spare, 1);
}

// One layout of documents with lengths as given, row by row; all ids are 0. For trunks, which do not read ids.
inline TokenLayout layout_of(const std::vector<std::vector<int64_t>>& lengths, int64_t capacity) {
  LayoutBuilder builder(static_cast<int64_t>(lengths.size()), capacity, 1);
  for (const auto& row : lengths) {
    builder.begin_row();
    for (const int64_t length : row) {
      builder.begin_document();
      for (int64_t i = 0; i < length; ++i) builder.add_id(0, {});
    }
  }
  return builder.finish().layout;
}

// Rows of random documents, short and long ones, with and without pads at the end.
inline TokenLayout random_layout(Random& random, int64_t rows, int64_t capacity) {
  std::vector<std::vector<int64_t>> lengths(static_cast<size_t>(rows));
  for (auto& row : lengths)
    for (int64_t room = random.chance(0.5) ? capacity : random.between(0, capacity); room > 0;) {
      row.push_back(random.chance(0.2) ? 1 : random.between(1, room));
      room -= row.back();
    }
  return layout_of(lengths, capacity);
}

}  // namespace mugato::testing
