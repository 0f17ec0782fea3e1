#include "mugato/run/inspect.h"

#include <numeric>

#include "mugato/core/error.h"
#include "mugato/data/documents.h"
#include "mugato/data/opening.h"
#include "mugato/token/discrete.h"

namespace mugato::run {
namespace {

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// `number` is that of the token in its field.
std::string decoded(int64_t id, const FieldSpec* field, int64_t number, const Tokenizer& tokenizer) {
  const auto& vocabulary = tokenizer.vocabulary();
  if (!field) return vocabulary.describe(id);
  switch (field->modality) {
    case Modality::kText:
      return "'" + tokenizer.text().piece(static_cast<int32_t>(id)) + "'";
    case Modality::kDiscrete:
      return std::to_string(id - vocabulary.discrete().begin);
    case Modality::kContinuous: {
      const ContinuousCodec codec{field->mu_law, field->low, field->high, vocabulary.continuous().size};
      return number_text(codec.decode(id - vocabulary.continuous().begin, number));
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

// What the model knows of where a patch is.
std::string patch_position_text(const TokenLayout& layout, int64_t patch, const std::string& patch_position) {
  const auto text = [&](const at::Tensor& of_patches) { return std::to_string(of_patches[patch].item<int64_t>()); };
  if (patch_position == "vit") return text(layout.patch_number);
  return patch_position == "none" ? "" : text(layout.patch_row) + "," + text(layout.patch_column);
}

// The ids of every id token, in the order of slots: cells have several.
std::vector<std::vector<int64_t>> ids_of_tokens(const TokenLayout& layout) {
  std::vector<std::vector<int64_t>> ids;
  for (int64_t i = 0; i < layout.id_values.size(0); ++i) ids.push_back({layout.id_values[i].item<int64_t>()});
  for (int64_t i = 0; i < layout.cell_index.size(0); ++i)
    ids[static_cast<size_t>(layout.cell_index[i].item<int64_t>())].push_back(layout.cell_values[i].item<int64_t>());
  return ids;
}

std::string decoded_cell(const std::vector<int64_t>& ids, const FieldSpec& field, const Vocabulary& vocabulary) {
  const auto values = DiscreteCodec{field.num_values}.decode(at::tensor(ids, at::kLong) - vocabulary.discrete().begin);
  std::string text;
  for (int64_t c = 0; c < values.size(0); ++c) text += (c > 0 ? "," : "") + std::to_string(values[c].item<int64_t>());
  return text;
}

// A target is the next token, so it means what the field of the next row says.
void add_targets(const TokenLayout& layout, const Schema& schema, const Tokenizer& tokenizer, std::vector<TokenRow>& rows) {
  for (int64_t k = 0; k < layout.num_targets(); ++k) {
    const auto slot = layout.target_slots[k].item<int64_t>();
    if (slot >= layout.capacity) continue;  // of another row
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const TokenRow& candidate) { return candidate.slot == slot; });
    const auto& next = *(row + 1);
    row->target = layout.targets[k].item<int64_t>();
    row->target_value = decoded(row->target, next.field.empty() ? nullptr : &schema.field(next.field), next.number, tokenizer);
  }
}

}  // namespace

std::vector<TokenRow> token_table(const MicroBatch& batch, const Schema& schema, const Tokenizer& tokenizer,
                                  const std::string& patch_position) {
  const auto& layout = batch.layout;
  const auto ids = ids_of_tokens(layout);
  std::vector<TokenRow> rows;
  const auto at = [](const at::Tensor& tensor, int64_t slot) { return tensor[0][slot].item<int64_t>(); };
  int64_t patch = 0;
  size_t token = 0;
  for (int64_t slot = 0; slot < layout.capacity; ++slot) {
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
                 .modality = field ? name_of(field->modality) : "special"};
    const bool goes_on = !rows.empty() && rows.back().field == row.field && rows.back().timestep == row.timestep &&
                         rows.back().document == row.document;
    row.number = goes_on ? rows.back().number + 1 : 0;
    if (id == TokenLayout::kPatch) {
      row.value = mean_color(batch.patches[layout.patch_index[patch].item<int64_t>()]);
      row.patch = patch_position_text(layout, patch++, patch_position);
    } else {
      row.ids = ids[token++];
      row.value = row.ids.size() > 1 ? decoded_cell(row.ids, *field, tokenizer.vocabulary())
                                     : decoded(id, field, row.number, tokenizer);
    }
    rows.push_back(std::move(row));
  }
  add_targets(layout, schema, tokenizer, rows);
  return rows;
}

InspectedSample inspect_sample(const Parts& parts, const Registries& registries, const std::string& entry, int64_t index) {
  std::vector<std::string> names;
  for (size_t i = 0; i < parts.config.data.size(); ++i) {
    const auto& candidate = parts.config.data[i];
    names.push_back(candidate.domain());
    if (candidate.domain() != entry) continue;
    auto facts = parts.facts_of(entry);
    const auto source = data::open_training(registries.sources, candidate, facts);
    if (index > source->size() - candidate.pairs)
      throw Error(entry + " has " + std::to_string(source->size()) + " episodes", "choose a smaller --index");
    const auto seed = static_cast<uint64_t>(parts.config.seed);
    const data::DocumentMaker maker(candidate, source, *parts.tokenizer, *parts.sequencer,
                                    {.context = parts.config.train.context, .seed = seed});
    std::vector<int64_t> episodes(static_cast<size_t>(maker.episodes_per_draw()));
    std::iota(episodes.begin(), episodes.end(), index);
    auto made = maker.make(index, episodes);
    if (made.documents.empty()) throw Error(made.problem, "");
    InspectedSample result{
        .schema = maker.schema(), .episode = source->get(index), .sample = std::move(made.documents.front())};
    Random random(hash_key(seed, index));
    const std::vector<std::vector<Sample>> rows{{result.sample}};
    std::vector<Random> randoms{random};
    result.batch = parts.sequencer->lay_out(rows, parts.sequencer->num_tokens(result.sample), 1, randoms);
    return result;
  }
  throw Error("the configuration has no [[data]] entry '" + entry + "'", "did you mean '" + nearest_name(entry, names) + "'?");
}

}  // namespace mugato::run
