// Whether text is text.
#pragma once

#include <string>
#include <string_view>

namespace mugato::data {

// Throws Error, which begins with `name`, with the byte at which `text` stops being UTF-8.
void check_utf8(std::string_view text, const std::string& name);

}  // namespace mugato::data
