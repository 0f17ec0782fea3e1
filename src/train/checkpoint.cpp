#include "mugato/train/checkpoint.h"

#include <charconv>
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

// The step in a name that folder_name made.
std::optional<int64_t> step_of(const std::string& name) {
  constexpr std::string_view kPrefix = "step-";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const char* const last = name.data() + name.size();
  const auto [end, failure] = std::from_chars(name.data() + kPrefix.size(), last, step);
  return failure == std::errc() && end == last ? std::optional(step) : std::nullopt;
}

// Complete checkpoints by step, oldest first.
std::vector<fs::path> complete_checkpoints(const fs::path& folder) {
  std::map<int64_t, fs::path> by_step;
  if (fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder))
      if (const auto step = step_of(entry.path().filename().string()); step && is_complete_folder(entry.path()))
        by_step[*step] = entry.path();
  std::vector<fs::path> all;
  for (const auto& [step, path] : by_step) all.push_back(path);
  return all;
}

nlohmann::json to_json(const TrainState& state) {
  nlohmann::json json{{"step", state.step},
                      {"data", state.data},
                      {"ranks", state.ranks},
                      {"skipped_steps", state.skipped_steps},
                      {"counts", nlohmann::json::object()}};
  if (std::isfinite(state.best_score)) json["best_score"] = state.best_score;
  for (const auto& [domain, count] : state.counts)
    json["counts"][domain] = {count.samples, count.tokens, count.targets, count.clipped, count.skipped, count.prompted};
  return json;
}

// Throws nlohmann::json::exception for what to_json did not make.
TrainState from_json(const nlohmann::json& json) {
  TrainState state{.step = json.at("step").get<int64_t>(),
                   .data = json.at("data").get<std::string>(),
                   .best_score = json.value("best_score", static_cast<double>(INFINITY)),
                   .ranks = json.value("ranks", int64_t{1}),
                   .skipped_steps = json.value("skipped_steps", int64_t{0})};
  for (const auto& [domain, counts] : json.at("counts").items()) {
    const auto& list = counts;  // older checkpoints have shorter ones
    const auto at = [&](size_t i) { return i < list.size() || i < 3 ? list.at(i).get<int64_t>() : 0; };
    state.counts[domain] = {
        .samples = at(0), .tokens = at(1), .targets = at(2), .clipped = at(3), .skipped = at(4), .prompted = at(5)};
  }
  return state;
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
  make_folders(folder());
  remove_unfinished_folders(folder());
  const fs::path name = folder_name(state.step);
  {
    FolderTransaction transaction(folder() / name);
    save_safetensors(transaction.folder() / kModel, named_tensors(module), {{"format", "pt"}});
    save_safetensors(transaction.folder() / kOptimizer, optimizer.state());
    for (const auto& [file, bytes] : files_) transaction.write(file, bytes);
    transaction.write(kState, to_json(state).dump(2) + "\n");
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
    if (all[static_cast<size_t>(i)].filename() != best) remove_complete_folder(all[static_cast<size_t>(i)]);
}

std::optional<fs::path> CheckpointStore::newest() const {
  const auto all = complete_checkpoints(folder());
  return all.empty() ? std::nullopt : std::optional(all.back());
}

TrainState CheckpointStore::load(const fs::path& checkpoint, torch::nn::Module& module, AdamW* optimizer) {
  check_complete_folder(checkpoint);
  load_parameters(module, SafetensorsReader(checkpoint / kModel).read_all(), (checkpoint / kModel).string());
  if (optimizer) optimizer->load_state(SafetensorsReader(checkpoint / kOptimizer).read_all());
  try {
    return from_json(nlohmann::json::parse(read_file(checkpoint / kState)));
  } catch (const nlohmann::json::exception& failure) {
    throw Error((checkpoint / kState).string() + ": not the state of a run: " + failure.what(),
                "resume from another checkpoint");
  }
}

}  // namespace mugato
