#include "mugato/seq/sequencer.h"

#include "mugato/core/error.h"

namespace mugato {
namespace {

int64_t num_valid(const FieldTokens& tokens) { return tokens.valid.sum().item<int64_t>(); }

// One draw per row and per column of an image, so that its patches keep their grid.
std::vector<int64_t> draw_buckets(int64_t count, Random* random) {
  std::vector<int64_t> buckets;
  for (int64_t i = 0; i < count; ++i) {
    const auto interval = patch_interval(i, count);
    buckets.push_back(random ? interval.begin + random->below(interval.end - interval.begin) : interval.mean());
  }
  return buckets;
}

void write_image(const FieldTokens& field, int64_t e, LayoutBuilder& builder, Random* random) {
  const auto rows = draw_buckets(field.grid.rows, random), columns = draw_buckets(field.grid.columns, random);
  const uint8_t* bytes = field.tokens.const_data_ptr<uint8_t>() + e * field.tokens.stride(0);
  for (int64_t t = 0; t < field.tokens_per_step(); ++t)
    builder.add_patch(bytes + t * kPatchBytes, rows[static_cast<size_t>(t / field.grid.columns)],
                      columns[static_cast<size_t>(t % field.grid.columns)], t);
}

}  // namespace

bool closes_with_end(const Schema& schema) {
  const auto order = step_order(schema);
  return !order.targets.empty() && schema.fields[order.targets.back()].modality == Modality::kText;
}

int64_t Sequencer::num_extra_tokens(const Schema& schema, int64_t num_steps, bool ends) const {
  const bool separated = !step_order(schema).targets.empty();
  return (separated ? num_steps : 0) + (ends && closes_with_end(schema) ? 1 : 0);
}

int64_t Sequencer::num_tokens(const Sample& sample) const {
  int64_t count = num_extra_tokens(*sample.schema, sample.timesteps.num_steps, sample.timesteps.ends);
  for (const auto& field : sample.timesteps.fields) count += num_valid(field);
  return count;
}

void Sequencer::write_field(const FieldSpec& field, const FieldTokens& tokens, int64_t e, LayoutBuilder& builder,
                            Random* random) const {
  if (field.modality == Modality::kImage) return write_image(tokens, e, builder, random);
  const LayoutBuilder::Use use{
      .target = field.is_target() || (field.modality == Modality::kText && options_.text_observations),
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

void Sequencer::write_observations(const Schema& schema, const Timesteps& timesteps, int64_t e, LayoutBuilder& builder,
                                   Random* random) const {
  const auto order = step_order(schema);
  for (const size_t i : order.observations) {
    builder.begin_field(static_cast<int64_t>(i));
    write_field(schema.fields[i], timesteps.fields[i], e, builder, random);
  }
  builder.begin_field(-1);
  if (!order.targets.empty()) builder.add_id(vocabulary_.separator(), {});
}

void Sequencer::write_targets(const Schema& schema, const Timesteps& timesteps, int64_t e, LayoutBuilder& builder) const {
  for (const size_t i : step_order(schema).targets) {
    builder.begin_field(static_cast<int64_t>(i));
    write_field(schema.fields[i], timesteps.fields[i], e, builder, nullptr);
  }
  builder.begin_field(-1);
}

void Sequencer::write(const Sample& sample, LayoutBuilder& builder, Random* random) const {
  builder.begin_document(sample.domain);
  for (int64_t e = 0; e < sample.timesteps.num_steps; ++e) {
    builder.begin_timestep(e);
    write_observations(*sample.schema, sample.timesteps, e, builder, random);
    write_targets(*sample.schema, sample.timesteps, e, builder);
  }
  if (sample.timesteps.ends && closes_with_end(*sample.schema)) builder.add_id(vocabulary_.end(), {.target = true});
}

MicroBatch Sequencer::lay_out(std::span<const std::vector<Sample>> rows, int64_t capacity, int64_t num_domains,
                              std::span<Random> randoms) const {
  LayoutBuilder builder(static_cast<int64_t>(rows.size()), capacity, num_domains);
  for (size_t row = 0; row < rows.size(); ++row) {
    builder.begin_row();
    for (const auto& sample : rows[row]) write(sample, builder, randoms.empty() ? nullptr : &randoms[row]);
  }
  return builder.finish();
}

}  // namespace mugato
