#include <cstdio>
#include <nlohmann/json.hpp>

#include "data_choice.h"
#include "mugato/data/stats.h"

namespace mugato::program {
namespace {

using nlohmann::json;

json to_json(const data::Summary& summary) {
  return {{"mean", summary.mean()}, {"std", summary.std()}, {"min", summary.min()}, {"max", summary.max()}};
}

json to_json(const data::FieldStats& field, const FieldSpec& spec) {
  json out = {{"modality", name_of(spec.modality)}, {"role", name_of(spec.role)}, {"shape", spec.shape}};
  for (const auto& dimension : field.dimensions) out["dimensions"].push_back(to_json(dimension));
  if (!field.clipped.empty()) out["clipped"] = field.clipped;
  if (!field.num_per_value.empty()) out["num_per_value"] = field.num_per_value;
  return out;
}

json to_json(const data::SourceStats& stats, const ChosenSource& chosen) {
  json out = {{"source", chosen.entry.source},
              {"episodes", stats.num_episodes},
              {"steps", stats.num_steps},
              {"tokens", stats.num_tokens},
              {"windows", stats.num_windows},
              {"tokens_per_step", stats.tokens_per_step()},
              {"steps_per_window", stats.steps_per_window()},
              {"returns", to_json(stats.returns)}};
  for (size_t f = 0; f < stats.fields.size(); ++f)
    out["fields"][stats.fields[f].name] = to_json(stats.fields[f], chosen.source->schema().fields[f]);
  return out;
}

void print_field(const data::FieldStats& field, const FieldSpec& spec) {
  std::string shape;
  for (const int64_t size : spec.shape) shape += (shape.empty() ? "" : "x") + std::to_string(size);
  std::printf("  %-24s %s %s %s\n", field.name.c_str(), name_of(spec.modality), name_of(spec.role), shape.c_str());
  constexpr size_t kShown = 8;
  for (size_t d = 0; d < std::min(field.dimensions.size(), kShown); ++d)
    std::printf("    [%zu] mean %.4g, std %.4g, from %.4g to %.4g, clipped %.3g%%\n", d, field.dimensions[d].mean(),
                field.dimensions[d].std(), field.dimensions[d].min(), field.dimensions[d].max(), 100.0 * field.clipped[d]);
  if (field.dimensions.size() > kShown) std::printf("    and %zu more: --json\n", field.dimensions.size() - kShown);
  for (size_t v = 0; v < field.num_per_value.size(); ++v)
    if (field.num_per_value[v] > 0) std::printf("    %zu: %lld times\n", v, static_cast<long long>(field.num_per_value[v]));
}

void print_text(const data::SourceStats& stats, const ChosenSource& chosen) {
  std::printf("%s: %lld episodes, %lld timesteps, %.1f tokens a timestep, %.1f timesteps a window\n",
              chosen.entry.domain().c_str(), static_cast<long long>(stats.num_episodes),
              static_cast<long long>(stats.num_steps), stats.tokens_per_step(), stats.steps_per_window());
  std::printf("  returns: mean %.4g, std %.4g, from %.4g to %.4g\n", stats.returns.mean(), stats.returns.std(),
              stats.returns.min(), stats.returns.max());
  for (size_t f = 0; f < stats.fields.size(); ++f) print_field(stats.fields[f], chosen.source->schema().fields[f]);
}

void print_stats(const DataChoice& choice, bool as_json) {
  const run::Registries registries;
  const auto chosen = choose(choice, registries, View::kTrained);
  json all;
  for (const auto& one : chosen.sources) {
    const auto stats =
        data::measure(*one.source, *chosen.parts.tokenizer, *chosen.parts.sequencer,
                      {.context = chosen.parts.config.train.context, .max_steps = one.entry.max_steps}, one.num_episodes);
    if (!as_json) print_text(stats, one);
    all[one.entry.domain()] = to_json(stats, one);
  }
  if (as_json) std::printf("%s\n", all.dump(2).c_str());
}

}  // namespace

void add_data_stats(CLI::App& data) {
  auto* command = data.add_subcommand(
      "stats",
      "Every source in numbers: episodes, timesteps, tokens, windows, returns, values and how many are clipped, actions");
  auto choice = std::make_shared<DataChoice>();
  auto as_json = std::make_shared<bool>(false);
  add_choice(*command, *choice);
  command->add_flag("--json", *as_json, "one JSON object, by name of the entry");
  command->callback([choice, as_json] { print_stats(*choice, *as_json); });
}

}  // namespace mugato::program
