#include "mugato/seq/sequencer.h"

#include <c10/util/SmallVector.h>

#include "mugato/core/error.h"

namespace mugato {
namespace {

int64_t num_valid(const FieldTokens& tokens) {
  const auto valid = tokens.valid.contiguous();
  return std::count(valid.const_data_ptr<bool>(), valid.const_data_ptr<bool>() + valid.numel(), true);
}

// One draw per row and per column of an image, so that its patches keep their grid.
std::vector<int64_t> draw_buckets(int64_t count, Random* random) {
  std::vector<int64_t> buckets;
  buckets.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto interval = patch_interval(i, count);
    buckets.push_back(random ? interval.begin + random->below(interval.end - interval.begin) : interval.mean());
  }
  return buckets;
}

void write_image(const FieldTokens& field, int64_t e, LayoutBuilder& builder, Random* random) {
  const auto& grid = field.grids[static_cast<size_t>(e)];
  const auto rows = draw_buckets(grid.rows, random), columns = draw_buckets(grid.columns, random);
  if (!field.images.defined())
    return builder.add_image(field.tokens.const_data_ptr<uint8_t>() + e * field.tokens.stride(0), rows, columns);
  const auto& images = field.images;
  c10::SmallVector<uint8_t, 16 * kPatchBytes> patches;
  patches.resize_for_overwrite(static_cast<size_t>(grid.num_patches() * kPatchBytes));
  cut_image(images.const_data_ptr<uint8_t>() + e * images.stride(0), images.size(1), images.size(2),
            images.dim() == 3 ? 1 : images.size(3), patches.data());
  builder.add_image(patches.data(), rows, columns);
}

}  // namespace

bool Sequencer::is_target(const FieldSpec& field) const {
  const bool is_text_observation = field.modality == Modality::kText && field.role == Role::kObservation;
  return field.is_target() || (is_text_observation && options_.text_observations);
}

bool Sequencer::starts_with_separator(const Schema& schema) const {
  const auto observations = step_order(schema).observations;
  return !observations.empty() && is_target(schema.fields[observations.front()]);
}

int64_t Sequencer::num_extra_tokens(const Schema& schema, int64_t num_steps) const {
  int64_t num_targets = 0, num_written_texts = 0;
  for (const auto& field : schema.fields) {
    num_targets += field.is_target();
    num_written_texts += field.is_target() && field.modality == Modality::kText;
  }
  return num_steps * ((num_targets > 0 ? 1 : 0) + num_written_texts) + (starts_with_separator(schema) ? 1 : 0);
}

int64_t Sequencer::num_tokens(const Sample& sample) const {
  int64_t count = num_extra_tokens(*sample.schema, sample.timesteps.num_steps);
  if (sample.schema->is_text_document()) count -= (sample.timesteps.starts ? 0 : 1) + (sample.timesteps.ends ? 0 : 1);
  for (const auto& field : sample.timesteps.fields) count += num_valid(field);
  return count;
}

void Sequencer::write_field(const FieldSpec& field, const FieldTokens& tokens, int64_t e, LayoutBuilder& builder,
                            Random* random, bool trained) const {
  if (field.modality == Modality::kImage) return write_image(tokens, e, builder, random);
  if (tokens.tokens_per_step() == 0) return;  // empty texts: tensors without memory
  const LayoutBuilder::Use use{
      .target = trained && is_target(field),
      .action = field.role == Role::kAction,
  };
  const int64_t* ids = tokens.tokens.const_data_ptr<int64_t>() + e * tokens.tokens.stride(0);
  const bool* valid = tokens.valid.const_data_ptr<bool>() + e * tokens.valid.stride(0);
  for (int64_t t = 0; t < tokens.tokens_per_step(); ++t) {
    if (!valid[t]) continue;
    if (tokens.channels() > 1) builder.add_cell(ids + t * tokens.channels(), tokens.channels());
    else builder.add_id(ids[t], use);
  }
}

void Sequencer::write_start(const Schema& schema, LayoutBuilder& builder) const {
  if (!starts_with_separator(schema)) return;
  builder.begin_timestep(0);
  builder.add_id(vocabulary_.separator(), {});
}

void Sequencer::write_observations(const Schema& schema, const Timesteps& timesteps, int64_t e, LayoutBuilder& builder,
                                   Random* random, bool trained) const {
  write_observations(schema, step_order(schema), timesteps, e, builder, random, trained);
}

void Sequencer::write_targets(const Schema& schema, const Timesteps& timesteps, int64_t e, LayoutBuilder& builder,
                              bool trained) const {
  write_targets(schema, step_order(schema), timesteps, e, builder, trained);
}

void Sequencer::write_observations(const Schema& schema, const StepOrder& order, const Timesteps& timesteps, int64_t e,
                                   LayoutBuilder& builder, Random* random, bool trained) const {
  for (const size_t i : order.observations) {
    builder.begin_field(static_cast<int64_t>(i));
    write_field(schema.fields[i], timesteps.fields[i], e, builder, random, trained);
  }
  builder.begin_field(-1);
  const bool is_cut = schema.is_text_document() && e == 0 && !timesteps.starts;
  if (!order.targets.empty() && !is_cut) builder.add_id(vocabulary_.separator(), {});
}

void Sequencer::write_targets(const Schema& schema, const StepOrder& order, const Timesteps& timesteps, int64_t e,
                              LayoutBuilder& builder, bool trained) const {
  const bool is_cut = schema.is_text_document() && e + 1 == timesteps.num_steps && !timesteps.ends;
  for (const size_t i : order.targets) {
    builder.begin_field(static_cast<int64_t>(i));
    write_field(schema.fields[i], timesteps.fields[i], e, builder, nullptr, trained);
    builder.begin_field(-1);
    if (schema.fields[i].modality == Modality::kText && !is_cut) builder.add_id(vocabulary_.end(), {.target = trained});
  }
}

void Sequencer::write(const Sample& sample, LayoutBuilder& builder, Random* random) const {
  const auto order = step_order(*sample.schema);
  builder.begin_document(sample.domain);
  write_start(*sample.schema, builder);
  for (int64_t e = 0; e < sample.timesteps.num_steps; ++e) {
    builder.begin_timestep(e);
    const bool trained = sample.prompt_loss || e >= sample.prompt_steps;
    write_observations(*sample.schema, order, sample.timesteps, e, builder, random, trained);
    write_targets(*sample.schema, order, sample.timesteps, e, builder, trained);
  }
}

MicroBatch Sequencer::lay_out(std::span<const std::vector<Sample>> rows, int64_t capacity, int64_t num_domains,
                              std::span<Random> randoms) const {
  LayoutBuilder builder(static_cast<int64_t>(rows.size()), capacity, num_domains);
  int64_t num_patches = 0;
  for (const auto& row : rows)
    for (const auto& sample : row)
      for (const auto& field : sample.timesteps.fields)
        for (const auto& grid : field.grids) num_patches += grid.num_patches();
  const int64_t num_slots = static_cast<int64_t>(rows.size()) * capacity;
  builder.reserve(std::max<int64_t>(0, num_slots - num_patches), num_patches);
  for (size_t row = 0; row < rows.size(); ++row) {
    builder.begin_row();
    for (const auto& sample : rows[row]) write(sample, builder, randoms.empty() ? nullptr : &randoms[row]);
  }
  return builder.finish();
}

}  // namespace mugato
