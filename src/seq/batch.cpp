#include "mugato/seq/batch.h"

namespace mugato {
namespace {

BatchField collate_field(std::span<const Sample> samples, size_t field) {
  int64_t steps = 0, tokens = 0;
  const auto& first = samples.front().timesteps.fields[field];
  for (const auto& sample : samples) {
    const auto& part = sample.timesteps.fields[field];
    TORCH_CHECK(part.channels() == first.channels(), "samples of one field differ in channels");
    steps = std::max(steps, part.num_steps());
    tokens = std::max(tokens, part.tokens_per_step());
  }
  const auto size = static_cast<int64_t>(samples.size());
  BatchField result{at::zeros({size, steps, tokens, first.channels()}, first.tokens.options()),
                    at::zeros({size, steps, tokens}, at::kBool)};
  for (int64_t b = 0; b < size; ++b) {
    const auto& part = samples[static_cast<size_t>(b)].timesteps.fields[field];
    result.tokens[b].narrow(0, 0, part.num_steps()).narrow(1, 0, part.tokens_per_step()).copy_(part.tokens);
    result.valid[b].narrow(0, 0, part.num_steps()).narrow(1, 0, part.tokens_per_step()).copy_(part.valid);
  }
  return result;
}

}  // namespace

Batch collate(std::span<const Sample> samples) {
  TORCH_CHECK(!samples.empty(), "nothing to collate");
  for (const auto& sample : samples)
    TORCH_CHECK(sample.schema == samples.front().schema, "samples of one schema are batched together");
  Batch batch{samples.front().schema, {}};
  for (size_t i = 0; i < batch.schema->fields.size(); ++i) batch.fields.push_back(collate_field(samples, i));
  return batch;
}

at::Tensor concatenate_and_flatten(std::span<const at::Tensor> fields_BETD) {
  return at::cat(at::TensorList(fields_BETD.data(), fields_BETD.size()), 2).flatten(1, 2);
}

}  // namespace mugato
