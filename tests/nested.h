// JSON that is nothing but brackets.
#pragma once

#include <string>

namespace mugato::testing {

inline std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace mugato::testing
