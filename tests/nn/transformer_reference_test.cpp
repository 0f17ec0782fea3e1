// Against transformers written by others: a plain one in Python (tools/python/dump_transformer_reference.py) and Hugging Face's
// GPT-2.
// Shape legend: B rows, S slots, D width, V vocabulary, K targets.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "mugato/core/files.h"
#include "mugato/core/safetensors.h"
#include "mugato/nn/loss.h"
#include "mugato/nn/sequence_models/transformer.h"
#include "nn/closeness.h"
#include "nn/random_batches.h"

namespace mugato {
namespace {

using testing::expect_close;

void load(torch::nn::Module& module, const TensorMap& weights) {
  const at::NoGradGuard no_grad;
  for (auto& item : module.named_parameters()) {
    const auto found = weights.find(item.key());
    ASSERT_NE(found, weights.end()) << item.key();
    ASSERT_EQ(found->second.sizes(), item.value().sizes()) << item.key();
    item.value().copy_(found->second);
  }
}

class PythonReference : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Cases, PythonReference, ::testing::Values("geglu_packed", "gelu_positions", "geglu_positions"));

TEST_P(PythonReference, LogitsAndAllGradientsAgree) {
  const SafetensorsReader file(std::string(MUGATO_FIXTURES "/nn/transformer_") + GetParam() + ".safetensors");
  const auto number = [&](const char* key) { return std::stoll(file.metadata().at(key)); };
  const auto dump = file.read_all();
  Transformer transformer({.width = number("width"),
                           .blocks = number("blocks"),
                           .heads = number("heads"),
                           .ffn_width = number("ffn_width"),
                           .activation = file.metadata().at("activation"),
                           .context = number("context"),
                           .global_positions = file.metadata().at("global_positions") == "True"});
  transformer.to(at::kDouble);
  TensorMap weights;
  for (const auto& [name, tensor] : dump)
    if (name.starts_with("weight.")) weights[name.substr(7)] = tensor;
  load(transformer, weights);
  EXPECT_EQ(weights.size(), transformer.named_parameters().size());

  const auto x = dump.at("x").to(at::kDouble).requires_grad_(), head = dump.at("head").to(at::kDouble).requires_grad_();
  std::vector<std::vector<int64_t>> lengths(static_cast<size_t>(x.size(0)));
  const auto& documents = dump.at("documents");
  for (int64_t i = 0; i < documents.size(0); ++i)
    lengths[static_cast<size_t>(documents[i][0].item<int64_t>())].push_back(documents[i][2].item<int64_t>());
  const auto layout = testing::layout_of(lengths, x.size(1));
  const auto hidden = transformer.forward({.x = x, .layout = layout}, nullptr);
  const auto of_documents = (layout.document >= 0).unsqueeze(2);
  expect_close(hidden.masked_fill(~of_documents, 0), dump.at("hidden"), "hidden");
  const auto flat = hidden.flatten(0, 1);
  expect_close(at::linear(flat.index_select(0, dump.at("slots")), head), dump.at("logits"), "logits");

  const auto ones = at::ones_like(dump.at("targets"), at::kDouble);
  const auto loss = masked_cross_entropy(flat, head, dump.at("slots"), dump.at("targets"), ones, 5).weighted_sum;
  expect_close(loss.view({1}), dump.at("loss"), "loss");
  loss.backward();
  expect_close(x.grad(), dump.at("grad.x"), "gradient of x");
  expect_close(head.grad(), dump.at("grad.head"), "gradient of head");
  for (const auto& item : transformer.named_parameters())
    expect_close(item.value().grad(), dump.at("grad." + item.key()), "gradient of " + item.key());
}

// Names of Hugging Face's GPT-2 to ours. Its Conv1D holds weights as (in, out).
TensorMap from_hugging_face(const SafetensorsReader& file, int64_t blocks) {
  TensorMap weights;
  const auto take = [&](const std::string& ours, const std::string& theirs, bool transpose = false) {
    const auto tensor = file.read("transformer." + theirs);
    weights[ours] = transpose ? tensor.t() : tensor;
  };
  for (int64_t i = 0; i < blocks; ++i) {
    const std::string ours = "block" + std::to_string(i) + ".", theirs = "h." + std::to_string(i) + ".";
    for (const auto& [norm, ln] : {std::pair{"norm1", "ln_1"}, {"norm2", "ln_2"}})
      for (const std::string side : {"weight", "bias"}) take(ours + norm + "_" + side, theirs + ln + "." + side);
    for (const auto& [linear, conv] :
         {std::pair{"qkv", "attn.c_attn"}, {"out", "attn.c_proj"}, {"up", "mlp.c_fc"}, {"down", "mlp.c_proj"}}) {
      take(ours + linear + "_weight", theirs + conv + ".weight", /*transpose=*/true);
      take(ours + linear + "_bias", theirs + conv + ".bias");
    }
  }
  take("positions", "wpe.weight");
  take("norm_weight", "ln_f.weight");
  take("norm_bias", "ln_f.bias");
  return weights;
}

class Gpt2 : public ::testing::Test {
 protected:
  Gpt2() {
    const auto config = nlohmann::json::parse(read_file(MUGATO_FIXTURES "/gpt2/config.json"));
    AgentOptions options;
    options.sequence = {.width = config["n_embd"],
                        .blocks = config["n_layer"],
                        .heads = config["n_head"],
                        .ffn_width = 4 * config["n_embd"].get<int64_t>(),
                        .activation = "gelu_tanh",
                        .context = config["n_positions"],
                        .global_positions = true};
    options.embedder = {.vocabulary = config["vocab_size"], .patch_channels = 32, .patch_stride = 8, .local_position = "none"};
    options.tied_head = true;
    SequenceModelRegistry registry("sequence model");
    register_builtins(registry);
    agent_ = make_agent(options, registry);
    load(agent_->trunk(), from_hugging_face(model_, options.sequence.blocks));
    const at::NoGradGuard no_grad;
    agent_->head().copy_(model_.read("transformer.wte.weight"));  // the lookup table, too: the head is tied
    agent_->eval();
  }

  // Rows of ids, all but the first a target.
  static MicroBatch batch_of(const at::Tensor& ids, int64_t first_position = 0) {
    LayoutBuilder builder(ids.size(0), ids.size(1), 1);
    for (int64_t b = 0; b < ids.size(0); ++b) {
      builder.begin_row();
      builder.begin_document(0, first_position);
      for (int64_t t = 0; t < ids.size(1); ++t) builder.add_id(ids[b][t].item<int64_t>(), {.target = true});
    }
    return builder.finish();
  }

  const SafetensorsReader model_{MUGATO_FIXTURES "/gpt2/model.safetensors"};
  const TensorMap io_ = SafetensorsReader(MUGATO_FIXTURES "/safetensors/gpt2_io.safetensors").read_all();
  std::shared_ptr<Agent> agent_;
};

TEST_F(Gpt2, HiddenStatesLogitsAndLossAreThoseOfHuggingFace) {
  const auto batch = batch_of(io_.at("input_ids"));
  const auto hidden = agent_->forward(batch);
  expect_close(hidden, io_.at("hidden_2"), "hidden states after the final norm");
  const auto logits = at::linear(hidden, agent_->head());
  expect_close(logits, io_.at("logits"), "logits");
  const auto ones = at::ones_like(batch.layout.targets, at::kFloat);
  const auto terms =
      masked_cross_entropy(hidden.flatten(0, 1), agent_->head(), batch.layout.target_slots, batch.layout.targets, ones);
  expect_close((terms.weighted_sum / batch.layout.num_targets()).view({1}), io_.at("loss"), "loss");
}

TEST_F(Gpt2, GreedyTokensWithACacheAreThoseOfHuggingFace) {
  const at::NoGradGuard no_grad;
  const auto& expected = io_.at("greedy_from_first_8");
  const auto cache = agent_->trunk().make_cache(1, expected.size(0));
  auto hidden = agent_->forward(batch_of(expected.narrow(0, 0, 8).unsqueeze(0)), cache.get())[0][-1];
  for (int64_t i = 8; i < expected.size(0); ++i) {
    const auto next = at::mv(agent_->head(), hidden).argmax();
    ASSERT_EQ(next.item<int64_t>(), expected[i].item<int64_t>()) << i;
    hidden = agent_->forward(batch_of(next.view({1, 1}), i), cache.get())[0][0];
  }
}

}  // namespace
}  // namespace mugato
