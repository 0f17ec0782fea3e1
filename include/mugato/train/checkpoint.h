// Checkpoints of a run: folders that are whole or do not exist.
#pragma once

#include <torch/nn/module.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "mugato/optim/adamw.h"
#include "mugato/seq/batch_stream.h"

namespace mugato {

// What a run needs beside weights and optimizer to go on bit for bit. Random numbers are functions of (seed, step, lane), so
// the step is their state.
struct TrainState {
  int64_t step = 0;              // updates done
  std::string data;              // BatchStream::state()
  double best_score = INFINITY;  // lowest evaluation loss so far
  int64_t ranks = 1;             // processes that trained it last
  int64_t skipped_steps = 0;     // of them all, those whose loss or gradient was not finite

  std::map<std::string, DomainCounts> counts = {};  // by domain: what was trained on so far
};

// A run's checkpoints/step-0000500/{model.safetensors, optimizer-rank0.safetensors, state.json, DONE, ...}, with the links
// `latest` and `best`.
class CheckpointStore {
 public:
  // `files` are written into every checkpoint: the tokenizer, the configuration. Keeps the newest `keep`, and the best.
  CheckpointStore(std::filesystem::path run, int64_t keep, std::map<std::string, std::string> files);

  // Throws Error (kFailure) when it could not be written; the checkpoints before it stay whole.
  void save(const torch::nn::Module& module, const AdamW& optimizer, const TrainState& state, bool is_best);

  // The newest complete checkpoint; nothing when there is none.
  std::optional<std::filesystem::path> newest() const;

  // Throws Error that names the tensor for weights of another shape, missing or too many.
  static TrainState load(const std::filesystem::path& checkpoint, torch::nn::Module& module, AdamW* optimizer);

  std::filesystem::path folder() const { return run_ / "checkpoints"; }

 private:
  void remove_old() const;

  std::filesystem::path run_;
  int64_t keep_;
  std::map<std::string, std::string> files_;
};

// Copies tensors into the module's parameters and buffers by name; throws Error as load does. `origin` names the file.
void load_parameters(torch::nn::Module& module, const std::map<std::string, at::Tensor>& tensors, const std::string& origin);

}  // namespace mugato
