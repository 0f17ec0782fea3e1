#include "mugato/data/fields.h"

#include <ATen/ATen.h>

#include "mugato/core/error.h"
#include "mugato/core/registry.h"
#include "mugato/data/decorator.h"

namespace mugato::data {
namespace {

constexpr Modality kModalities[] = {Modality::kText, Modality::kImage, Modality::kDiscrete, Modality::kContinuous};
constexpr Role kRoles[] = {Role::kObservation, Role::kPrompt, Role::kAction, Role::kAnswer, Role::kText};

template <class T, size_t N>
std::vector<std::string> names_of(const T (&all)[N]) {
  std::vector<std::string> names;
  for (const T item : all) names.emplace_back(name_of(item));
  return names;
}

// The item of this name; the key's check has seen that there is one.
template <class T, size_t N>
T named(const std::string& name, const T (&all)[N]) {
  for (const T item : all)
    if (name == name_of(item)) return item;
  TORCH_CHECK(false, "no item '", name, "'");
}

[[noreturn]] void refuse(const std::string& field, const std::string& what, const std::string& hint) {
  throw Error("fields." + field + ": " + what, hint);
}

// A picture's pixels as a grid of ids, and a grid of ids as a picture.
void image_to_discrete(FieldSpec& field) {
  if (field.shape.empty())
    refuse(field.name, "images of several sizes cannot be read as discrete values", "leave the modality out");
  field.cells = field.shape.size() == 3 && field.shape[2] > 1;
  field.num_values.assign(field.cells ? static_cast<size_t>(field.shape[2]) : 1, 256);
}

void discrete_to_image(FieldSpec& field) {
  const auto rank = field.shape.size();
  if (rank != 2 && !(rank == 3 && (field.shape[2] == 1 || field.shape[2] == 3 || field.shape[2] == 4)))
    refuse(field.name, "its values are no picture", "a picture has the shape (height, width) or (height, width, 1, 3 or 4)");
  field.cells = false;
  field.num_values.clear();
}

void change_modality(FieldSpec& field, Modality to, bool has_range) {
  const auto from = field.modality;
  if (from == to) return;
  const std::string between = std::string(name_of(from)) + " to " + name_of(to);
  if (from == Modality::kText || to == Modality::kText)
    refuse(field.name, "there is no way from " + between, "text stays text");
  if (from == Modality::kImage && to == Modality::kContinuous)
    refuse(field.name, "there is no way from " + between, "pixels are an image, or discrete");
  if (from == Modality::kContinuous && to == Modality::kImage)
    refuse(field.name, "there is no way from " + between, "an image has pixels of type uint8");
  if (from == Modality::kContinuous && !has_range)
    refuse(field.name, "how many discrete values there are is not said", "give range = [0, highest value]");
  field.modality = to;
  if (from == Modality::kImage) image_to_discrete(field);
  if (to == Modality::kImage) discrete_to_image(field);
  if (to == Modality::kContinuous) field.cells = false, field.num_values.clear(), field.mu_law = true;
  if (from == Modality::kContinuous) field.mu_law = false, field.num_values = {1};
}

void change_range(FieldSpec& field, const std::vector<double>& range) {
  if (range.empty()) return;
  if (range.size() != 2 || !(range[0] < range[1]))
    refuse(field.name, "the range is not [low, high]", "two numbers, the lower first");
  if (field.modality == Modality::kContinuous) {
    field.mu_law = false;
    field.low = {range[0]};
    field.high = {range[1]};
  } else if (field.modality == Modality::kDiscrete) {
    if (range[0] != 0.0 || range[1] != std::floor(range[1]) || range[1] > 1e9)
      refuse(field.name, "the range of discrete values is [0, highest value]",
             "whole numbers; what is counted from elsewhere has to be shifted first");
    field.num_values.assign(field.num_values.size(), static_cast<int64_t>(range[1]) + 1);
  } else {
    refuse(field.name, std::string("a range of ") + name_of(field.modality) + " means nothing", "leave it out");
  }
}

FieldSpec changed(FieldSpec field, const FieldChange& change) {
  if (!change.role.empty()) field.role = named(change.role, kRoles);
  if (!change.modality.empty()) change_modality(field, named(change.modality, kModalities), !change.range.empty());
  if (field.role == Role::kAction) field.mu_law = false;  // paper 2.1: mu-law is for observations
  change_range(field, change.range);
  return field;
}

// Values in the type of the modality: discrete values may be shaped otherwise than the pixels they were.
at::Tensor converted(const at::Tensor& values, const FieldSpec& to, const std::string& episode) {
  if (!values.defined()) return values;
  if (to.modality == Modality::kContinuous) return values.to(at::kFloat);
  if (at::isFloatingType(values.scalar_type()) && !values.eq(values.round()).all().item<bool>())
    throw Error(episode + ": field '" + to.name + "' has values that are not whole numbers", "leave it continuous");
  if (to.modality == Modality::kDiscrete) return values.to(at::kLong);
  if (values.numel() > 0 && (values.min().item<int64_t>() < 0 || values.max().item<int64_t>() > 255))
    throw Error(episode + ": field '" + to.name + "' has values outside of 0 to 255", "it is no picture: leave it discrete");
  return values.to(at::kByte);
}

class ChangedSource : public SourceDecorator {
 public:
  ChangedSource(std::unique_ptr<Source> source, const std::map<std::string, FieldChange>& changes)
      : SourceDecorator(std::move(source)) {
    for (const auto& [name, change] : changes) inner().schema().index_of(name);  // throws with the nearest name
    for (size_t i = 0; i < inner().schema().fields.size(); ++i) {
      const auto& field = inner().schema().fields[i];
      const auto found = changes.find(field.name);
      if (found == changes.end()) {
        keep(i, field);
      } else if (found->second.role != "none") {
        keep(i, changed(field, found->second));
      }
    }
    if (schema_.fields.empty())
      throw Error("every field of the source is left out", "role = \"none\" is for fields not wanted");
  }

  const Schema& schema() const override { return schema_; }

  Episode get(int64_t index) const override {
    auto episode = inner().get(index);
    std::vector<FieldValues> fields;
    for (size_t i = 0; i < kept_.size(); ++i) {
      auto values = std::move(episode.fields[kept_[i]]);
      if (schema_.fields[i].modality != inner().schema().fields[kept_[i]].modality)
        values.values = converted(values.values, schema_.fields[i], episode.id);
      fields.push_back(std::move(values));
    }
    episode.fields = std::move(fields);
    return episode;
  }

 private:
  void keep(size_t index, FieldSpec field) {
    kept_.push_back(index);
    schema_.fields.push_back(std::move(field));
  }

  std::vector<size_t> kept_;  // fields of the inner source
  Schema schema_;
};

}  // namespace

void declare(KeyTable& keys, const std::string& prefix, FieldChange& change) {
  const auto or_as_it_is = [](std::vector<std::string> names) {
    names.emplace_back();
    return one_of(std::move(names));
  };
  auto roles = names_of(kRoles);
  roles.emplace_back("none");
  keys.add(prefix + "modality", &change.modality, "read the values as these; empty: as the source has them",
           or_as_it_is(names_of(kModalities)));
  keys.add(prefix + "role", &change.role, "what the field is for; none leaves it out; empty: as the source has it",
           or_as_it_is(roles));
  keys.add(prefix + "range", &change.range,
           "continuous: [low, high], mapped to [-1, 1] instead of by mu-law; discrete: [0, highest value]");
}

std::unique_ptr<Source> with_fields(std::unique_ptr<Source> source, const std::map<std::string, FieldChange>& changes) {
  if (changes.empty()) return source;
  return std::make_unique<ChangedSource>(std::move(source), changes);
}

}  // namespace mugato::data
