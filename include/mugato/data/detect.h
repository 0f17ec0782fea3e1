// Which source reads a path.
#pragma once

#include <string>

namespace mugato::data {

// The name of the source, by the files that are there. Throws Error when there is nothing at the path, or nothing known.
std::string detect_source(const std::string& path);

}  // namespace mugato::data
