#include "byte_tokens.h"

#include <array>

#include "unicode.h"

namespace mugato::text {
namespace {

// GPT-2's bytes that are seen as they are; the others follow U+0100 on, in order.
bool is_visible(int byte) { return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE; }

struct ByteCharacters {
  std::array<char32_t, 256> character;
  std::array<int, 0x144> byte;  // by character: its byte, or -1

  ByteCharacters() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      character[static_cast<size_t>(b)] = is_visible(b) ? static_cast<char32_t>(b) : next++;
      byte[character[static_cast<size_t>(b)]] = b;
    }
  }
};

const ByteCharacters& byte_characters() {
  static const ByteCharacters all;
  return all;
}

}  // namespace

std::string visible_byte(uint8_t byte) {
  std::string text;
  append_utf8(text, byte_characters().character[byte]);
  return text;
}

std::optional<std::string> bytes_of_token(const std::string& token) {
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    const auto [value, length] = code_point_at(token, at);
    const auto& known = byte_characters().byte;
    if (value >= known.size() || known[value] < 0) return std::nullopt;
    bytes += static_cast<char>(known[value]);
    at += length;
  }
  return bytes;
}

}  // namespace mugato::text
