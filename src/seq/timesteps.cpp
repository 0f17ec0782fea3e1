#include "mugato/seq/timesteps.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "mugato/core/error.h"
#include "mugato/token/discrete.h"

namespace mugato {
namespace {

int64_t num_tokens_of(const FieldSpec& field) {
  const int64_t values = field.values_per_step();
  return field.cells ? values / static_cast<int64_t>(field.num_values.size()) : values;
}

int64_t num_patches_of(const FieldValues& values) {
  return patch_grid(values.values.size(1), values.values.size(2)).num_patches();
}

// Text comes first, then images, then values; within a group by name.
int group_of(const FieldSpec& field) {
  if (field.modality == Modality::kText) return 0;
  return field.modality == Modality::kImage ? 1 : 2;
}

std::string shape_with_steps(const std::string& steps, at::IntArrayRef shape) {
  std::string text = "(" + steps;
  for (const int64_t size : shape) text += "," + std::to_string(size);
  return text + ")";
}

// Whether (E,...) is what the schema says; pictures may vary in size, and grey ones come without an axis of channels.
bool fits(const FieldSpec& field, at::IntArrayRef shape) {
  if (shape.empty()) return false;
  if (field.modality == Modality::kText) return shape.size() == 2;
  if (shape.slice(1) == at::IntArrayRef(field.shape)) return true;
  if (field.modality != Modality::kImage) return false;
  return field.shape.empty() || (field.shape.back() == 1 && shape.slice(1) == at::IntArrayRef(field.shape).slice(0, 2));
}

void check_shape(const FieldSpec& field, const at::Tensor& values, const std::string& name) {
  if (!values.defined())
    throw Error("field '" + name + "' has no values", std::string("the schema says that it is ") + name_of(field.modality));
  if (fits(field, values.sizes())) return;
  const auto sizes = values.sizes();
  throw Error("field '" + name + "' has values of shape " +
                  (sizes.empty() ? "()" : shape_with_steps(std::to_string(sizes[0]), sizes.slice(1))) + ", its schema says " +
                  shape_with_steps("E", field.shape),
              "make the source's values and its schema agree");
}

std::string problem_of_range(const FieldSpec& field) {
  if (field.mu_law) return "";
  if (field.low.size() != field.high.size()) return "it has not as many lower as upper limits";
  if (field.low.size() != 1 && static_cast<int64_t>(field.low.size()) != field.values_per_step())
    return "low and high have one entry for all values, or one for each";
  for (size_t k = 0; k < field.low.size(); ++k)
    if (!std::isfinite(field.low[k]) || !std::isfinite(field.high[k]) || field.low[k] >= field.high[k])
      return "low has to be below high";
  return "";
}

// Why fields of this declaration can not be tokenized or written; empty when they can.
std::string problem_of(const FieldSpec& field) {
  if (field.modality == Modality::kText) return field.role == Role::kAction ? "text is written as answer or text" : "";
  if (field.role == Role::kPrompt || field.role == Role::kAnswer || field.role == Role::kText)
    return std::string("only text has the role ") + name_of(field.role);
  if (std::any_of(field.shape.begin(), field.shape.end(), [](int64_t size) { return size < 1; }))
    return "every axis of its shape is at least 1";
  if (field.modality == Modality::kImage) {
    if (field.is_target()) return "images are read, never written";
    return field.shape.empty() || field.shape.size() == 3 ? "" : "an image has the shape {height, width, channels}";
  }
  if (field.cells && field.is_target()) return "an action is written value by value, not in cells";
  if (field.modality == Modality::kContinuous) {
    if (field.cells) return "only discrete values come in cells";
    return problem_of_range(field);
  }
  if (field.num_values.empty()) return "it does not say how many values it has";
  if (std::any_of(field.num_values.begin(), field.num_values.end(), [](int64_t size) { return size < 1; }))
    return "a discrete value has at least one choice";
  if (!field.cells) return field.num_values.size() == 1 ? "" : "without cells, one number of values holds for all";
  if (field.shape.empty() || field.shape.back() != static_cast<int64_t>(field.num_values.size()))
    return "the last axis of cells are the channels, one number of values for each";
  return "";
}

// (E,T) of a field that has all of its tokens at every timestep.
at::Tensor all_valid(int64_t num_steps, int64_t num_tokens) {
  auto valid = at::empty({num_steps, num_tokens}, at::kBool);
  std::fill_n(valid.mutable_data_ptr<bool>(), valid.numel(), true);
  return valid;
}

// Not a few timesteps of a long episode, which would be kept as a whole.
bool can_be_cut_later(const at::Tensor& images) {
  return images.scalar_type() == at::kByte && images.is_contiguous() && images.storage().nbytes() <= 2 * images.nbytes();
}

// The patches, cut now if they are not.
at::Tensor patches_of(const FieldTokens& field) {
  return field.images.defined() ? cut_patches(field.images, "image") : field.tokens;
}

// One value per timestep for every field, so that no field is read beyond its end or beside its timestep.
void check_steps(const Schema& schema, const Episode& episode) {
  if (episode.fields.size() != schema.fields.size())
    throw Error("'" + episode.id + "' has " + std::to_string(episode.fields.size()) + " fields, its schema " +
                    std::to_string(schema.fields.size()),
                "make the source's episodes and its schema agree");
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const auto& values = episode.fields[i].values;
    const bool is_text = schema.fields[i].modality == Modality::kText && !values.defined();
    if (!is_text) check_shape(schema.fields[i], values, schema.fields[i].name + "' of '" + episode.id);
    const int64_t steps = is_text ? static_cast<int64_t>(episode.fields[i].text.size()) : values.size(0);
    if (steps != episode.num_steps)
      throw Error("field '" + schema.fields[i].name + "' of '" + episode.id + "' has " + std::to_string(steps) +
                      " timesteps of " + std::to_string(episode.num_steps),
                  "every field needs one value per timestep");
  }
}

}  // namespace

int64_t Timesteps::num_clipped() const {
  int64_t sum = 0;
  for (const auto& field : fields) sum += field.num_clipped;
  return sum;
}

Timesteps slice(const Timesteps& timesteps, Window window) {
  TORCH_CHECK(window.start >= 0 && window.length > 0 && window.start + window.length <= timesteps.num_steps);
  Timesteps part;
  part.num_steps = window.length;
  part.starts = timesteps.starts && window.start == 0;
  part.ends = timesteps.ends && window.start + window.length == timesteps.num_steps;
  for (const auto& field : timesteps.fields) {
    part.fields.push_back(field);
    for (auto* tensor : {&part.fields.back().tokens, &part.fields.back().images})
      if (tensor->defined()) *tensor = tensor->narrow(0, window.start, window.length);
    part.fields.back().valid = field.valid.narrow(0, window.start, window.length);
    if (!field.grids.empty())
      part.fields.back().grids = {field.grids.begin() + window.start, field.grids.begin() + window.start + window.length};
  }
  return part;
}

Timesteps concatenate(std::span<const Timesteps> parts) {
  TORCH_CHECK(!parts.empty(), "nothing to concatenate");
  Timesteps whole{.starts = parts.front().starts, .ends = parts.back().ends};
  for (const auto& part : parts) whole.num_steps += part.num_steps;
  for (size_t f = 0; f < parts.front().fields.size(); ++f) {
    int64_t width = 0;
    for (const auto& part : parts) width = std::max(width, part.fields[f].tokens_per_step());
    std::vector<at::Tensor> tokens, valid;
    auto& field = whole.fields.emplace_back();
    for (const auto& part : parts) {
      const auto& from = part.fields[f];
      tokens.push_back(at::constant_pad_nd(patches_of(from), {0, 0, 0, width - from.tokens_per_step()}, 0));
      valid.push_back(at::constant_pad_nd(from.valid, {0, width - from.tokens_per_step()}, false));
      field.grids.insert(field.grids.end(), from.grids.begin(), from.grids.end());
      field.num_clipped += from.num_clipped;
    }
    field.tokens = at::cat(tokens);
    field.valid = at::cat(valid);
  }
  return whole;
}

Episode slice(const Episode& episode, Window window) {
  TORCH_CHECK(window.start >= 0 && window.length > 0 && window.start + window.length <= episode.num_steps);
  Episode part{.num_steps = window.length,
               .id = episode.id,
               .starts = episode.starts,
               .ends = episode.ends,
               .rewards = episode.rewards,
               .total_return = episode.total_return,
               .success = episode.success};
  if (part.rewards.defined()) part.rewards = part.rewards.narrow(0, window.start, window.length);
  for (const auto& whole : episode.fields) {
    auto& field = part.fields.emplace_back();
    if (whole.values.defined()) field.values = whole.values.narrow(0, window.start, window.length);
    if (!whole.text.empty())
      field.text = {whole.text.begin() + window.start, whole.text.begin() + window.start + window.length};
  }
  return part;
}

StepOrder step_order(const Schema& schema) {
  StepOrder order;
  for (size_t i = 0; i < schema.fields.size(); ++i)
    (schema.fields[i].is_target() ? order.targets : order.observations).push_back(i);
  const auto by_name = [&](size_t a, size_t b) { return schema.fields[a].name < schema.fields[b].name; };
  std::sort(order.targets.begin(), order.targets.end(), by_name);
  std::sort(order.observations.begin(), order.observations.end(), [&](size_t a, size_t b) {
    return std::pair<int, std::string_view>(group_of(schema.fields[a]), schema.fields[a].name) <
           std::pair<int, std::string_view>(group_of(schema.fields[b]), schema.fields[b].name);
  });
  return order;
}

Tokenizer::Tokenizer(Vocabulary vocabulary, std::shared_ptr<const TextTokenizer> text)
    : vocabulary_(std::move(vocabulary)), text_(std::move(text)) {
  if (text_ && text_->size() != vocabulary_.text().size)
    throw Error("the text tokenizer has " + std::to_string(text_->size()) + " pieces, the vocabulary " +
                    std::to_string(vocabulary_.text().size),
                "use the tokenizer that the run was trained with");
}

const TextTokenizer& Tokenizer::text() const {
  if (!text_)
    throw Error("there is text to read but no text tokenizer", "set tokens.text to a SentencePiece model or a tokenizer.json");
  return *text_;
}

ContinuousCodec Tokenizer::continuous_codec(const FieldSpec& field) const {
  // Without limits that count, one map for all values.
  if (field.mu_law) return {.mu_law = true, .num_bins = vocabulary_.continuous().size};
  return {false, field.low, field.high, vocabulary_.continuous().size};
}

// The tokens of an episode are counted before they are made, and many episodes have one of a few missions: a thread keeps the
// short texts that it encoded lately.
std::vector<int32_t> Tokenizer::ids_of(const std::string& text) const {
  constexpr size_t kShort = 256, kMost = 4096;
  thread_local std::shared_ptr<const TextTokenizer> tokenizer;
  thread_local std::unordered_map<std::string, std::vector<int32_t>> known;
  if (text.size() > kShort) return this->text().encode(text);
  if (tokenizer != text_ || known.size() >= kMost) known.clear();
  tokenizer = text_;
  if (const auto it = known.find(text); it != known.end()) return it->second;
  return known.emplace(text, this->text().encode(text)).first->second;
}

FieldTokens Tokenizer::tokenize_text(const std::vector<std::string>& text) const {
  std::vector<std::vector<int32_t>> distinct;
  std::vector<size_t> which;  // by timestep
  size_t longest = 0;
  for (size_t e = 0; e < text.size(); ++e) {
    // A mission is the same at every timestep: encode it once.
    if (e == 0 || text[e] != text[e - 1]) distinct.push_back(ids_of(text[e]));
    which.push_back(distinct.size() - 1);
    longest = std::max(longest, distinct.back().size());
  }
  const auto num_steps = static_cast<int64_t>(text.size()), width = static_cast<int64_t>(longest);
  FieldTokens result{.tokens = at::empty({num_steps, width, 1}, at::kLong), .valid = at::empty({num_steps, width}, at::kBool)};
  auto* tokens = result.tokens.mutable_data_ptr<int64_t>();
  auto* valid = result.valid.mutable_data_ptr<bool>();
  for (const size_t i : which) {
    const auto pads = longest - distinct[i].size();
    tokens = std::fill_n(std::copy(distinct[i].begin(), distinct[i].end(), tokens), pads, 0);
    valid = std::fill_n(std::fill_n(valid, distinct[i].size(), true), pads, false);
  }
  return result;
}

FieldTokens Tokenizer::take_ids(const at::Tensor& ids, const std::string& name) const {
  const int64_t highest = ids.numel() > 0 ? ids.max().item<int64_t>() : 0,
                lowest = ids.numel() > 0 ? ids.min().item<int64_t>() : 0;
  if (lowest < 0 || !vocabulary_.text().contains(highest))
    throw Error("field '" + name + "' has the text id " + std::to_string(lowest < 0 ? lowest : highest) +
                    ", the text tokenizer has " + std::to_string(vocabulary_.text().size) + " pieces",
                "the ids were made with another tokenizer: set tokens.text to that one");
  return {.tokens = ids.to(at::kLong).unsqueeze(2), .valid = all_valid(ids.size(0), ids.size(1))};
}

FieldTokens Tokenizer::tokenize(const FieldSpec& field, const FieldValues& values) const {
  return tokenize(field, values, field.name, Patches::kCut);
}

FieldTokens Tokenizer::tokenize(const FieldSpec& field, const FieldValues& values, const std::string& name,
                                Patches patches) const {
  if (field.modality == Modality::kText && !values.values.defined()) return tokenize_text(values.text);
  check_shape(field, values.values, name);
  if (field.modality == Modality::kText) return take_ids(values.values, name);
  const int64_t num_steps = values.values.size(0);
  FieldTokens result;
  if (field.modality == Modality::kImage) {
    check_images(values.values, name);
    const auto grid = patch_grid(values.values.size(1), values.values.size(2));
    if (patches == Patches::kLater && can_be_cut_later(values.values)) result.images = values.values;
    else result.tokens = cut_patches(values.values, name);
    result.grids.assign(static_cast<size_t>(num_steps), grid);
    result.valid = all_valid(num_steps, grid.num_patches());
  } else {
    const bool is_discrete = field.modality == Modality::kDiscrete;
    const auto ids = is_discrete ? DiscreteCodec{field.num_values}.encode(values.values, name)
                                 : continuous_codec(field).encode(values.values, name, &result.num_clipped);
    const int64_t begin = (is_discrete ? vocabulary_.discrete() : vocabulary_.continuous()).begin;
    const int64_t channels = field.cells ? static_cast<int64_t>(field.num_values.size()) : 1;
    auto* id = ids.mutable_data_ptr<int64_t>();
    for (int64_t i = 0; i < ids.numel(); ++i) id[i] += begin;
    const int64_t num_tokens = field.values_per_step() / channels;
    result.tokens = ids.view({num_steps, num_tokens, channels});
    result.valid = all_valid(num_steps, num_tokens);
  }
  return result;
}

Timesteps Tokenizer::tokenize(const Schema& schema, const Episode& episode, Patches patches) const {
  check_steps(schema, episode);
  Timesteps timesteps;
  timesteps.num_steps = episode.num_steps;
  timesteps.starts = episode.starts;
  timesteps.ends = episode.ends;
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const FieldSpec& field = schema.fields[i];
    // Messages quote the name: field 'door' of 'four_rooms seed 17'.
    timesteps.fields.push_back(tokenize(field, episode.fields[i], field.name + "' of '" + episode.id, patches));
  }
  return timesteps;
}

std::vector<int64_t> Tokenizer::tokens_per_step(const Schema& schema, const Episode& episode) const {
  check_steps(schema, episode);
  std::vector<int64_t> counts(static_cast<size_t>(episode.num_steps), 0);
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const FieldSpec& field = schema.fields[i];
    if (field.modality == Modality::kText && !episode.fields[i].values.defined()) {
      const auto& text = episode.fields[i].text;
      int64_t length = 0;
      for (size_t e = 0; e < text.size(); ++e) {
        if (e == 0 || text[e] != text[e - 1]) length = static_cast<int64_t>(ids_of(text[e]).size());
        counts[e] += length;
      }
    } else {
      const auto& values = episode.fields[i];
      const int64_t length = field.modality == Modality::kImage  ? num_patches_of(values)
                             : field.modality == Modality::kText ? values.values.size(1)
                                                                 : num_tokens_of(field);
      for (auto& count : counts) count += length;
    }
  }
  return counts;
}

Value Tokenizer::decode(const FieldSpec& field, const std::vector<int64_t>& ids) const {
  if (field.modality == Modality::kText) return text().decode({ids.begin(), ids.end()});
  TORCH_CHECK(field.modality != Modality::kImage, "images are not decoded from ids");
  const auto tokens = at::tensor(ids, at::kLong).reshape(field.shape);
  if (field.modality == Modality::kDiscrete)
    return DiscreteCodec{field.num_values}.decode(tokens - vocabulary_.discrete().begin);
  return continuous_codec(field).decode(tokens - vocabulary_.continuous().begin);
}

IdRange Tokenizer::legal_ids(const FieldSpec& field, int64_t i) const {
  switch (field.modality) {
    case Modality::kText:
      return vocabulary_.text();
    case Modality::kContinuous:
      return vocabulary_.continuous();
    case Modality::kDiscrete:
      break;
    case Modality::kImage:
      TORCH_CHECK(false, "images are not written");
  }
  TORCH_CHECK(!field.cells && i < field.values_per_step(), "actions are values, not cells");
  return {vocabulary_.discrete().begin, field.num_values.front()};
}

void validate(const Schema& schema, const Vocabulary& vocabulary) {
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const auto& field = schema.fields[i];
    const std::string what = std::string(name_of(field.modality)) + " field '" + field.name + "'";
    for (size_t j = 0; j < i; ++j)
      if (schema.fields[j].name == field.name) throw Error(what + " is declared twice", "give every field a name of its own");
    if (const std::string problem = problem_of(field); !problem.empty())
      throw Error(what + " with the role " + name_of(field.role) + ": " + problem, "correct the field's declaration");
    if (field.modality != Modality::kDiscrete) continue;
    if (const int64_t used = DiscreteCodec{field.num_values}.size(); used > vocabulary.discrete().size)
      throw Error(
          what + " needs " + std::to_string(used) + " ids, the vocabulary has " + std::to_string(vocabulary.discrete().size),
          "raise tokens.num_discrete");
  }
}

}  // namespace mugato
