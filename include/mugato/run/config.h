// The configuration of a run: one TOML file, every key with a default, a help text and a check.
#pragma once

#include <string>
#include <vector>

#include "mugato/data/sources.h"
#include "mugato/dist/reducer.h"
#include "mugato/nn/agent.h"
#include "mugato/optim/adamw.h"
#include "mugato/seq/sequencer.h"
#include "mugato/train/trainer.h"

namespace mugato::run {

struct TokenOptions {
  std::string text = "data/tokenizers/quickstart.model";  // see text::load_tokenizer; empty: no text
  int64_t text_size = 0;                                  // ids for text: what the tokenizer has to have; 0: what it has
  int64_t num_continuous = 1024;
  int64_t num_discrete = 1024;
  std::string discrete_range = "separate";
};

struct ModelOptions {
  std::string preset;  // sets keys of size that the file does not mention
  AgentOptions agent;
};

struct ActOptions {
  double temperature = 1.0;
  int64_t sessions = 16;
};

struct RunConfig {
  std::string out = "runs/run";
  int64_t seed = 0;
  std::string device = "auto";
  TokenOptions tokens;
  ModelOptions model;
  SequencerOptions loss;
  TrainOptions train;
  OptimizerOptions optim;
  dist::GroupOptions group;
  dist::ReducerOptions reducer;
  ActOptions act;
  data::MixtureOptions mixture;
  std::vector<data::DataEntry> data;
  int64_t eval_documents = 64;  // held-out documents per entry
};

// All keys. The table points into `config`, which has to outlive it.
KeyTable keys_of(RunConfig& config);

// Reads a file, applies a preset below it and the assignments "key=value" above it, and checks the whole. Throws Error.
RunConfig read_config(const std::string& path, const std::vector<std::string>& assignments = {});
RunConfig parse_config(const std::string& toml, const std::string& origin, const std::vector<std::string>& assignments = {});

// Sizes of paper C.1 (gato-*), GPT-2, and small ones for two cores.
std::vector<std::string> preset_names();
std::vector<std::string> preset_assignments(const std::string& name);  // throws Error with the nearest name

}  // namespace mugato::run
