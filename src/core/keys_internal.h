// Values of keys as text and as variants, shared by the sources of KeyTable.
#pragma once

#include <string>

#include "mugato/core/keys.h"

namespace mugato {

std::string value_text(const KeyTarget& target);  // in TOML
KeyValue value_of(const KeyTarget& target);

}  // namespace mugato
