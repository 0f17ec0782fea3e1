#include "mugato/env/environment.h"

#include <ATen/ATen.h>

namespace mugato::env {

Action RandomPolicy::act() {
  Action action;
  for (const auto& field : schema_.fields) {
    if (field.role != Role::kAction || field.modality == Modality::kText) continue;
    auto values = at::empty({field.values_per_step()}, field.modality == Modality::kDiscrete ? at::kLong : at::kFloat);
    for (int64_t i = 0; i < values.numel(); ++i) {
      if (field.modality == Modality::kDiscrete)
        values.data_ptr<int64_t>()[i] =
            random_.below(field.num_values[field.cells ? static_cast<size_t>(i) % field.num_values.size() : 0]);
      else values.data_ptr<float>()[i] = static_cast<float>(random_.uniform(field.low, field.high));
    }
    action[field.name] = values.reshape(field.shape);
  }
  return action;
}

namespace {

// Appends one timestep's values of the fields that `values` names.
void append(const Schema& schema, const std::map<std::string, Value>& values, std::vector<std::vector<Value>>& columns) {
  for (size_t i = 0; i < schema.fields.size(); ++i)
    if (const auto found = values.find(schema.fields[i].name); found != values.end()) columns[i].push_back(found->second);
}

FieldValues stack(const std::vector<Value>& column) {
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

Episode demonstrate(Environment& environment, uint64_t seed) {
  const Schema& schema = environment.schema();
  std::vector<std::vector<Value>> columns(schema.fields.size());
  Episode episode;
  auto observation = environment.reset(seed);
  for (bool done = false; !done; ++episode.num_steps) {
    append(schema, observation, columns);
    const auto action = environment.expert();
    append(schema, action, columns);
    auto result = environment.step(action);
    observation = std::move(result.observation);
    episode.total_return += result.reward;
    episode.success = result.success;
    done = result.done;
  }
  for (const auto& column : columns) episode.fields.push_back(stack(column));
  return episode;
}

}  // namespace mugato::env
