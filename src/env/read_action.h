// The checks that every built-in world makes of an action before it believes it.
#pragma once

#include <cstdint>
#include <string>

#include "mugato/seq/episode.h"

namespace mugato::env {

// The scalar of a discrete field. `world` is for the messages. Throws Error, naming the field, when it is missing, text,
// not an integer tensor of one dimensionless value, or outside of [0, num_values[0]).
int64_t read_discrete(const Action& action, const FieldSpec& field, const std::string& world);

// The text of a field. Throws Error, naming the field, when it is missing or not text.
const std::string& read_text(const Action& action, const FieldSpec& field, const std::string& world);

}  // namespace mugato::env
