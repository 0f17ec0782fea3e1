#include "mugato/train/checkpoint.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/core/safetensors.h"

namespace fs = std::filesystem;

namespace mugato {
namespace {

constexpr const char* kModel = "model.safetensors";
constexpr const char* kOptimizer = "optimizer-rank0.safetensors";
constexpr const char* kState = "state.json";

std::string folder_name(int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%07lld", static_cast<long long>(step));
  return name;
}

// Complete checkpoints by name, oldest first: the names sort by step.
std::vector<fs::path> complete_checkpoints(const fs::path& folder) {
  std::vector<fs::path> all;
  if (fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder))
      if (!entry.is_symlink() && entry.path().filename().string().starts_with("step-") &&
          entry.path().filename().string().find(".tmp.") == std::string::npos && is_complete_folder(entry.path()))
        all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  return all;
}

std::map<std::string, at::Tensor> named_tensors(const torch::nn::Module& module) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& item : module.named_parameters()) tensors[item.key()] = item.value();
  for (const auto& item : module.named_buffers()) tensors[item.key()] = item.value();
  return tensors;
}

}  // namespace

void load_parameters(torch::nn::Module& module, const std::map<std::string, at::Tensor>& tensors, const std::string& origin) {
  const at::NoGradGuard no_grad;
  const auto own = named_tensors(module);
  const std::string hint =
      "the model has to be the one the weights were saved from: compare the model.* keys of the configuration";
  for (auto [name, tensor] : own) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) throw Error(origin + ": tensor '" + name + "' is missing", hint);
    if (found->second.sizes() != tensor.sizes())
      throw Error(origin + ": tensor '" + name + "' has shape " + c10::str(found->second.sizes()) + ", the model's has " +
                      c10::str(tensor.sizes()),
                  hint);
    tensor.copy_(found->second);
  }
  for (const auto& [name, tensor] : tensors)
    if (!own.contains(name)) throw Error(origin + ": the model has no tensor '" + name + "'", hint);
}

CheckpointStore::CheckpointStore(fs::path run, int64_t keep, std::map<std::string, std::string> files)
    : run_(std::move(run)), keep_(keep), files_(std::move(files)) {}

void CheckpointStore::save(const torch::nn::Module& module, const AdamW& optimizer, const TrainState& state, bool is_best) {
  fs::create_directories(folder());
  remove_unfinished_folders(folder());
  const fs::path name = folder_name(state.step);
  {
    FolderTransaction transaction(folder() / name);
    save_safetensors(transaction.folder() / kModel, named_tensors(module), {{"format", "pt"}});
    save_safetensors(transaction.folder() / kOptimizer, optimizer.state());
    for (const auto& [file, bytes] : files_) transaction.write(file, bytes);
    nlohmann::json json{{"step", state.step}, {"data", state.data}};
    if (std::isfinite(state.best_score)) json["best_score"] = state.best_score;
    transaction.write(kState, json.dump(2) + "\n");
    transaction.commit();
  }
  point_link(folder() / "latest", name);
  if (is_best) point_link(folder() / "best", name);
  remove_old();
}

void CheckpointStore::remove_old() const {
  const auto all = complete_checkpoints(folder());
  const fs::path best = fs::is_symlink(folder() / "best") ? fs::read_symlink(folder() / "best").filename() : fs::path();
  for (int64_t i = 0; i + keep_ < static_cast<int64_t>(all.size()); ++i)
    if (all[static_cast<size_t>(i)].filename() != best) fs::remove_all(all[static_cast<size_t>(i)]);
}

std::optional<fs::path> CheckpointStore::newest() const {
  const auto all = complete_checkpoints(folder());
  return all.empty() ? std::nullopt : std::optional(all.back());
}

TrainState CheckpointStore::load(const fs::path& checkpoint, torch::nn::Module& module, AdamW* optimizer) {
  check_complete_folder(checkpoint);
  load_parameters(module, SafetensorsReader(checkpoint / kModel).read_all(), (checkpoint / kModel).string());
  if (optimizer) optimizer->load_state(SafetensorsReader(checkpoint / kOptimizer).read_all());
  const auto json = nlohmann::json::parse(read_file(checkpoint / kState), nullptr, /*allow_exceptions=*/false);
  if (!json.contains("step") || !json.contains("data"))
    throw Error((checkpoint / kState).string() + ": not the state of a run", "resume from another checkpoint");
  return {json["step"], json["data"], json.value("best_score", static_cast<double>(INFINITY))};
}

}  // namespace mugato
