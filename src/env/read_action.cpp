#include "read_action.h"

#include <sstream>

#include "mugato/core/error.h"

namespace mugato::env {
namespace {

std::string describe(const at::Tensor& tensor) {
  if (!tensor.defined()) return "an undefined tensor";
  std::ostringstream text;
  text << "a " << tensor.scalar_type() << " tensor of shape " << tensor.sizes();
  return text.str();
}

}  // namespace

int64_t read_discrete(const Action& action, const FieldSpec& field, const std::string& world) {
  const int64_t num_values = field.num_values.front();
  // Made only when it is needed: an environment's step is cheaper than this text.
  const auto fail = [&](const std::string& what) -> void {
    throw Error(world + ": field '" + field.name + "' of the action is " + what,
                "give an integer tensor of shape [] with a value in [0, " + std::to_string(num_values) + ")");
  };
  const auto found = action.find(field.name);
  if (found == action.end()) fail("missing");
  const auto* tensor = std::get_if<at::Tensor>(&found->second);
  if (!tensor) fail("text");
  if (!tensor->defined() || tensor->dim() != 0 || !at::isIntegralType(tensor->scalar_type(), /*includeBool=*/false))
    fail(describe(*tensor));
  const int64_t value = tensor->item<int64_t>();
  if (value < 0 || value >= num_values) fail(std::to_string(value));
  return value;
}

const std::string& read_text(const Action& action, const FieldSpec& field, const std::string& world) {
  const auto fail = [&](const std::string& what) -> void {
    throw Error(world + ": field '" + field.name + "' of the action is " + what, "give a string");
  };
  const auto found = action.find(field.name);
  if (found == action.end()) fail("missing");
  const auto* text = std::get_if<std::string>(&found->second);
  if (!text) fail("not text but " + describe(std::get<at::Tensor>(found->second)));
  return *text;
}

}  // namespace mugato::env
