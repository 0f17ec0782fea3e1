#include "utf8.h"

#include <cstdint>

#include "mugato/core/error.h"

namespace mugato::data {
namespace {

// Bytes of the character at the beginning of `text`, 0 when it is none: shortest form, no surrogates, at most U+10FFFF.
size_t character_length(std::string_view text) {
  const auto byte = [text](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  uint32_t code = first & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3fU);
  }
  constexpr uint32_t kLowest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return first < 0xc0 || first > 0xf4 || code < kLowest[length] || code > 0x10ffff || surrogate ? 0 : length;
}

}  // namespace

void check_utf8(std::string_view text, const std::string& name) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_length(text.substr(at));
    if (length == 0) throw Error(name + ": the text is not UTF-8 at byte " + std::to_string(at), "convert it to UTF-8");
    at += length;
  }
}

}  // namespace mugato::data
