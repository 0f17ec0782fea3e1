#include "mugato/seq/episode.h"

#include "mugato/core/error.h"
#include "mugato/core/registry.h"

namespace mugato {

const char* name_of(Modality modality) {
  switch (modality) {
    case Modality::kText:
      return "text";
    case Modality::kImage:
      return "image";
    case Modality::kDiscrete:
      return "discrete";
    case Modality::kContinuous:
      return "continuous";
  }
  TORCH_CHECK(false, "unknown modality");
}

const char* name_of(Role role) {
  switch (role) {
    case Role::kObservation:
      return "observation";
    case Role::kPrompt:
      return "prompt";
    case Role::kAction:
      return "action";
    case Role::kAnswer:
      return "answer";
    case Role::kText:
      return "text";
  }
  TORCH_CHECK(false, "unknown role");
}

int64_t FieldSpec::values_per_step() const {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

int64_t Schema::index_of(const std::string& name) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].name == name) return static_cast<int64_t>(i);
    names.push_back(fields[i].name);
  }
  throw Error("unknown field '" + name + "'", "did you mean '" + nearest_name(name, names) + "'?");
}

const FieldSpec& Schema::field(const std::string& name) const { return fields[static_cast<size_t>(index_of(name))]; }

}  // namespace mugato
