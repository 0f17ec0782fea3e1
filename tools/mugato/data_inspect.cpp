#include <cstdio>

#include "commands.h"
#include "load.h"
#include "mugato/env/pictures.h"
#include "mugato/run/inspect.h"

namespace mugato::program {
namespace {

struct InspectArguments {
  std::string config, source, png;
  int64_t index = 0;
  std::vector<std::string> assignments;
};

std::string ids_text(const std::vector<int64_t>& ids) {
  std::string text;
  for (const int64_t id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return text.empty() ? "patch" : text;
}

// What the patches' positions are.
const char* patch_header(const std::string& patch_position) { return patch_position == "vit" ? "patch no." : "row,col"; }

void print(const run::TokenRow& row) {
  const std::string local = row.local == TokenLayout::kActionPosition ? "act" : std::to_string(row.local);
  const std::string target = row.target < 0 ? "" : std::to_string(row.target) + " (" + row.target_value + ")";
  std::printf("%5lld %4lld %4lld %5lld %6s %-12s %-11s %-14s  %-22s %-9s %5s  %s\n", static_cast<long long>(row.slot),
              static_cast<long long>(row.document), static_cast<long long>(row.position), static_cast<long long>(row.timestep),
              local.c_str(), row.field.c_str(), row.modality.c_str(), ids_text(row.ids).c_str(), row.value.c_str(),
              row.patch.c_str(), row.target < 0 ? "." : "loss", target.c_str());
}

void inspect(const InspectArguments& arguments) {
  const run::Registries registries;
  const auto parts = load_config_or_run(arguments.config, registries, arguments.assignments);
  const std::string source = arguments.source.empty() ? parts.config.data.front().domain() : arguments.source;
  const auto inspected = run::inspect_sample(parts, registries, source, arguments.index);
  if (!arguments.png.empty()) env::write_png(arguments.png, run::draw(inspected.sample, *parts.tokenizer));
  std::printf("%s: window of %lld of %lld timesteps, %lld tokens, %lld targets\n\n", inspected.episode.id.c_str(),
              static_cast<long long>(inspected.sample.timesteps.num_steps), static_cast<long long>(inspected.episode.num_steps),
              static_cast<long long>(inspected.batch.layout.num_tokens()),
              static_cast<long long>(inspected.batch.layout.num_targets()));
  const auto& patch_position = parts.config.model.agent.embedder.patch_position;
  std::printf("%5s %4s %4s %5s %6s %-12s %-11s %-14s  %-22s %-9s %5s  %s\n", "slot", "doc", "pos", "step", "local", "field",
              "modality", "id", "value", patch_header(patch_position), "mask", "target");
  for (const auto& row : run::token_table(inspected.batch, *inspected.schema, *parts.tokenizer, patch_position)) print(row);
  if (!arguments.png.empty()) std::printf("\nwrote %s\n", arguments.png.c_str());
}

}  // namespace

void add_data_inspect(CLI::App& data) {
  auto* command =
      data.add_subcommand("inspect", "One sample token by token: field, id, decoded value, positions, target and mask");
  auto arguments = std::make_shared<InspectArguments>();
  command->add_option("CONFIG", arguments->config, "configuration file, or folder of a run")->required();
  command->add_option("--source", arguments->source, "name of a [[data]] entry; the first by default");
  command->add_option("--index", arguments->index, "which training episode")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--png", arguments->png, "also draw it: image patches, and every value decoded back from its tokens")
      ->type_name("FILE");
  command->add_option("--set", arguments->assignments, "change a key of the configuration; of a run, run.device")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->callback([arguments] { inspect(*arguments); });
}

}  // namespace mugato::program
