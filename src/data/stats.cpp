#include "mugato/data/stats.h"

#include <cmath>

#include "mugato/token/continuous.h"

namespace mugato::data {
namespace {

// Rows of doubles (E,K), one column per dimension of a timestep.
at::Tensor as_rows(const at::Tensor& values) { return values.to(at::kDouble).reshape({values.size(0), -1}).contiguous(); }

void add_continuous(const FieldSpec& field, const at::Tensor& values, FieldStats& stats) {
  const auto rows = as_rows(values);
  const auto num_dimensions = static_cast<size_t>(rows.size(1));
  stats.dimensions.resize(num_dimensions);
  stats.clipped.resize(num_dimensions);  // counts until the end
  const ContinuousCodec codec{.mu_law = field.mu_law, .low = field.low, .high = field.high};
  const auto outside = codec.outside(values);
  const bool* is_clipped = outside.const_data_ptr<bool>();
  const double* value = rows.const_data_ptr<double>();
  for (int64_t e = 0; e < rows.size(0); ++e)
    for (size_t d = 0; d < num_dimensions; ++d, ++value, ++is_clipped) {
      if (std::isfinite(*value)) stats.dimensions[d].add(*value);
      if (*is_clipped) stats.clipped[d] += 1.0;
    }
}

void add_discrete(const at::Tensor& values, FieldStats& stats) {
  const auto flat = values.to(at::kLong).contiguous();
  for (int64_t i = 0; i < flat.numel(); ++i) {
    const int64_t value = flat.const_data_ptr<int64_t>()[i];
    if (value >= 0 && value < static_cast<int64_t>(stats.num_per_value.size()))
      ++stats.num_per_value[static_cast<size_t>(value)];
  }
}

void add_values(const FieldSpec& field, const FieldValues& values, FieldStats& stats) {
  if (field.modality == Modality::kContinuous) add_continuous(field, values.values, stats);
  if (field.modality == Modality::kDiscrete && field.role == Role::kAction) add_discrete(values.values, stats);
}

}  // namespace

void Summary::add(double value) {
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = count_ == 0 ? value : std::max(max_, value);
  const double before = value - mean_;
  mean_ += before / static_cast<double>(++count_);
  squares_ += before * (value - mean_);
}

double Summary::std() const { return count_ == 0 ? 0.0 : std::sqrt(squares_ / static_cast<double>(count_)); }

SourceStats measure(const Source& source, const Tokenizer& tokenizer, const Sequencer& sequencer,
                    const WindowCutter::Options& options, int64_t num_episodes) {
  const auto schema = std::make_shared<const Schema>(source.schema());
  const WindowCutter cutter(schema, options, tokenizer, sequencer);
  SourceStats stats;
  for (const auto& field : schema->fields) {
    stats.fields.push_back({.name = field.name});
    if (field.modality == Modality::kDiscrete && field.role == Role::kAction)
      stats.fields.back().num_per_value.resize(static_cast<size_t>(field.num_values.front()));
  }
  for (int64_t i = 0; i < std::min(num_episodes, source.size()); ++i) {
    const auto episode = source.get(i);
    ++stats.num_episodes;
    stats.num_steps += episode.num_steps;
    stats.num_windows += static_cast<int64_t>(cutter.windows(episode).size());
    stats.num_tokens += sequencer.num_extra_tokens(*schema, episode.num_steps);
    for (const int64_t tokens : tokenizer.tokens_per_step(*schema, episode)) stats.num_tokens += tokens;
    stats.returns.add(episode.total_return);
    for (size_t f = 0; f < schema->fields.size(); ++f) add_values(schema->fields[f], episode.fields[f], stats.fields[f]);
  }
  for (auto& field : stats.fields)
    for (auto& clipped : field.clipped) clipped /= static_cast<double>(std::max<int64_t>(1, stats.num_steps));
  return stats;
}

}  // namespace mugato::data
