#include "mugato/run/inspect.h"

#include "mugato/core/error.h"
#include "mugato/token/discrete.h"

namespace mugato::run {
namespace {

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string decoded(int64_t id, const FieldSpec* field, const Tokenizer& tokenizer) {
  const auto& vocabulary = tokenizer.vocabulary();
  if (!field) return vocabulary.describe(id);
  switch (field->modality) {
    case Modality::kText:
      return "'" + tokenizer.text().piece(static_cast<int32_t>(id)) + "'";
    case Modality::kDiscrete:
      return std::to_string(id - vocabulary.discrete().begin);
    case Modality::kContinuous: {
      const ContinuousCodec codec{field->mu_law, field->low, field->high, vocabulary.continuous().size};
      return number_text(codec.decode(id - vocabulary.continuous().begin));
    }
    case Modality::kImage:
      break;
  }
  TORCH_CHECK(false, "a patch has no id");
}

std::string mean_color(const at::Tensor& patch) {
  const auto mean = patch.to(at::kFloat).view({-1, 3}).mean(0);
  std::string text = "mean rgb";
  for (int64_t c = 0; c < 3; ++c) text += " " + std::to_string(static_cast<int>(mean[c].item<float>() + 0.5F));
  return text;
}

}  // namespace

std::vector<TokenRow> token_table(const MicroBatch& batch, const Schema& schema, const Tokenizer& tokenizer) {
  const auto& layout = batch.layout;
  std::vector<int64_t> target_of(static_cast<size_t>(layout.capacity), -1);
  for (int64_t k = 0; k < layout.num_targets(); ++k)
    if (const auto slot = layout.target_slots[k].item<int64_t>(); slot < layout.capacity)
      target_of[static_cast<size_t>(slot)] = layout.targets[k].item<int64_t>();
  std::vector<TokenRow> rows;
  const auto at = [](const at::Tensor& tensor, int64_t slot) { return tensor[0][slot].item<int64_t>(); };
  for (int64_t slot = 0, patch = 0; slot < layout.capacity; ++slot) {
    const int64_t id = at(layout.ids, slot);
    if (id == TokenLayout::kPad) continue;
    const int64_t index = at(layout.field, slot);
    const FieldSpec* field = index < 0 ? nullptr : &schema.fields[static_cast<size_t>(index)];
    TokenRow row{.slot = slot,
                 .document = at(layout.document, slot),
                 .position = at(layout.position, slot),
                 .timestep = at(layout.timestep, slot),
                 .local = at(layout.local, slot),
                 .field = field ? field->name : "",
                 .modality = field ? name_of(field->modality) : "special",
                 .id = id,
                 .target = target_of[static_cast<size_t>(slot)]};
    if (id == TokenLayout::kPatch) {
      row.value = mean_color(batch.patches[layout.patch_index[patch].item<int64_t>()]);
      row.patch = std::to_string(layout.patch_row[patch].item<int64_t>()) + "," +
                  std::to_string(layout.patch_column[patch].item<int64_t>());
      ++patch;
    } else {
      row.value = decoded(id, field, tokenizer);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

InspectedSample inspect_sample(const Parts& parts, const Registries& registries, const std::string& entry, int64_t index) {
  std::vector<std::string> names;
  for (size_t i = 0; i < parts.config.data.size(); ++i) {
    const auto& candidate = parts.config.data[i];
    names.push_back(candidate.domain());
    if (candidate.domain() != entry) continue;
    const auto source = registries.sources.build(candidate.source, candidate, data::Split::kTrain);
    if (index >= source->size())
      throw Error(entry + " has " + std::to_string(source->size()) + " episodes", "choose a smaller --index");
    InspectedSample result{.schema = std::make_shared<const Schema>(source->schema()), .episode = source->get(index)};
    const data::WindowCutter cutter(result.schema, {.context = parts.config.train.context, .max_steps = candidate.max_steps},
                                    *parts.tokenizer, *parts.sequencer);
    Random random(hash_key(static_cast<uint64_t>(parts.config.seed), static_cast<uint64_t>(index)));
    result.sample = cutter.random(result.episode, random);
    const std::vector<std::vector<Sample>> rows{{result.sample}};
    std::vector<Random> randoms{random};
    result.batch = parts.sequencer->lay_out(rows, parts.sequencer->num_tokens(result.sample), 1, randoms);
    return result;
  }
  throw Error("the configuration has no [[data]] entry '" + entry + "'", "did you mean '" + nearest_name(entry, names) + "'?");
}

}  // namespace mugato::run
