// Untrained agents that act, and worlds to act in.
#pragma once

#include <gtest/gtest.h>

#include <fstream>

#include "mugato/act/rollout.h"
#include "mugato/env/environment.h"
#include "mugato/text/sentencepiece.h"

namespace mugato::act {

struct Acting {
  explicit Acting(DiscreteRange range = DiscreteRange::kSeparate) {
    std::shared_ptr<const TextTokenizer> text = text::load_sentencepiece(MUGATO_ROOT "/data/tokenizers/quickstart.model");
    const Vocabulary vocabulary({.text_size = text->size(), .num_continuous = 64, .num_discrete = 64, .discrete_range = range});
    tokenizer = std::make_shared<Tokenizer>(vocabulary, text);
    sequencer = std::make_shared<Sequencer>(vocabulary, SequencerOptions{});
    env::register_builtins(worlds);
    at::manual_seed(1);
    SequenceModelRegistry registry("sequence model");
    register_builtins(registry);
    AgentOptions options;
    options.sequence = {.width = 32, .blocks = 2, .heads = 2, .ffn_width = 64, .context = kContext, .global_positions = true};
    options.embedder.vocabulary = vocabulary.size();
    options.embedder.patch_channels = 32;
    options.embedder.patch_stride = 8;
    options.init_std = 0.5;  // so that what is read makes a difference
    agent = make_agent(options, registry);
    agent->eval();
  }

  Policy policy(const Schema& schema, int64_t sessions, PolicyOptions options) const {
    return {agent, tokenizer, sequencer, schema, sessions, options};
  }

  // The hidden state of the last token of what a session remembers, without a cache: (D).
  at::Tensor uncached_hidden(const Policy& policy, int64_t session) const {
    const at::NoGradGuard no_grad;
    const auto batch = policy.uncached(session);
    return agent->forward(batch)[0][batch.layout.num_tokens() - 1];
  }

  static constexpr int64_t kContext = 512;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const Sequencer> sequencer;
  std::shared_ptr<Agent> agent;
  env::EnvironmentRegistry worlds{"environment"};
};

// Rounding of sums of a few hundred products of values of this size.
inline void expect_close(const at::Tensor& found, const at::Tensor& expected, const std::string& what) {
  const double tolerance = 300.0 * std::numeric_limits<float>::epsilon() * expected.abs().max().item<double>();
  const double worst = (found - expected).abs().max().item<double>();
  EXPECT_LE(worst, tolerance) << what;
}

// Answers that follow questions, timestep after timestep: what no built-in world has.
inline Schema dialogue_schema() {
  return {{{.name = "line"},
           {.name = "mood", .modality = Modality::kDiscrete, .num_values = {5}},
           {.name = "act", .modality = Modality::kDiscrete, .role = Role::kAction, .shape = {2}, .num_values = {3}},
           {.name = "reply", .role = Role::kAnswer}}};
}

inline Observation dialogue_line(int64_t turn) {
  const char* const kLines[] = {"hello", "how many red balls are there?", "yes", "go to the green key and then to the box"};
  return {{"line", std::string(kLines[turn % 4])}, {"mood", at::scalar_tensor(turn % 5, at::kLong)}};
}

}  // namespace mugato::act
