#include "mugato/env/environment.h"

#include <ATen/ATen.h>

#include "mugato/core/error.h"

namespace mugato::env {
namespace {

// One limit holds for all values, or each has its own.
double limit_of(const std::vector<double>& limits, int64_t i) {
  return limits[limits.size() == 1 ? 0 : static_cast<size_t>(i)];
}

}  // namespace

Action RandomPolicy::act() {
  Action action;
  for (const auto& field : schema_.fields) {
    if (field.role != Role::kAction || field.modality == Modality::kText) continue;
    auto values = at::empty({field.values_per_step()}, field.modality == Modality::kDiscrete ? at::kLong : at::kFloat);
    for (int64_t i = 0; i < values.numel(); ++i) {
      if (field.modality == Modality::kDiscrete)
        values.data_ptr<int64_t>()[i] =
            random_.below(field.num_values[field.cells ? static_cast<size_t>(i) % field.num_values.size() : 0]);
      else values.data_ptr<float>()[i] = static_cast<float>(random_.uniform(limit_of(field.low, i), limit_of(field.high, i)));
    }
    action[field.name] = values.reshape(field.shape);
  }
  return action;
}

namespace {

using Column = std::vector<Value>;

[[noreturn]] void throw_wrong(const FieldSpec& field, const std::string& where, const std::string& what) {
  throw Error(where + ": field '" + field.name + "' " + what,
              "reset, step and expert give every field of the schema, in its shape, at every timestep");
}

// Appends one timestep's values of the fields that are read, or of those that are written.
void append(const Schema& schema, const std::map<std::string, Value>& values, bool written, const std::string& where,
            std::vector<Column>& columns) {
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const auto& field = schema.fields[i];
    if (field.is_target() != written) continue;
    const auto found = values.find(field.name);
    if (found == values.end()) throw_wrong(field, where, written ? "is not in the expert's action" : "is not observed");
    const auto* tensor = std::get_if<at::Tensor>(&found->second);
    if ((tensor == nullptr) != (field.modality == Modality::kText) || (tensor != nullptr && !tensor->defined()))
      throw_wrong(field, where, std::string("is not ") + name_of(field.modality));
    if (tensor != nullptr && !columns[i].empty() && tensor->sizes() != std::get<at::Tensor>(columns[i].front()).sizes())
      throw_wrong(field, where, "has another shape than at the first timestep");
    columns[i].push_back(found->second);
  }
}

FieldValues stack(const Column& column) {
  FieldValues field;
  if (std::holds_alternative<std::string>(column.front())) {
    for (const auto& value : column) field.text.push_back(std::get<std::string>(value));
    return field;
  }
  std::vector<at::Tensor> tensors;
  for (const auto& value : column) tensors.push_back(std::get<at::Tensor>(value));
  field.values = at::stack(tensors);
  return field;
}

}  // namespace

Episode demonstrate(Environment& environment, uint64_t seed) { return record(environment, seed).episode; }

Recording record(Environment& environment, uint64_t seed) {
  const Schema& schema = environment.schema();
  std::vector<Column> columns(schema.fields.size());
  std::vector<double> rewards;
  Recording recording;
  auto& episode = recording.episode;
  auto observation = environment.reset(seed);
  for (bool done = false; !done; ++episode.num_steps) {
    const std::string where = "seed " + std::to_string(seed) + ", timestep " + std::to_string(episode.num_steps);
    append(schema, observation, /*written=*/false, where, columns);
    const auto action = environment.expert();
    append(schema, action, /*written=*/true, where, columns);
    auto result = environment.step(action);
    observation = std::move(result.observation);
    rewards.push_back(result.reward);
    episode.total_return += result.reward;
    episode.success = result.success;
    done = result.done;
  }
  for (const auto& column : columns) episode.fields.push_back(stack(column));
  episode.rewards = at::tensor(rewards, at::kDouble);
  recording.last = std::move(observation);
  return recording;
}

}  // namespace mugato::env
