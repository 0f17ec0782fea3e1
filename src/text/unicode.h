// UTF-8, and what byte-level BPE has to know about characters: white space, letters and numbers, and the normal form NFC.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mugato::text {

struct CodePoint {
  char32_t value;
  size_t length;  // in bytes

  static constexpr char32_t kInvalid = 0xFFFFFFFF;  // bytes that are no UTF-8: as many as begin a character that never ends
};

// The one that begins at byte `at` of the text, at < text.size().
CodePoint code_point_at(std::string_view text, size_t at);

void append_utf8(std::string& text, char32_t code_point);

// The text with U+FFFD in place of bytes that are no UTF-8.
std::string valid_utf8(std::string text);

// General categories L and N, and White_Space.
enum class CharacterKind { kOther, kLetter, kNumber, kSpace };
CharacterKind kind_of(char32_t code_point);

// The end of the characters of a kind that stand at `at`; `at` where there is none. at <= text.size().
size_t end_of_kind(std::string_view text, size_t at, CharacterKind kind);

// Normalization form C. Bytes that are no UTF-8 stay as they are.
std::string nfc(std::string_view text);

}  // namespace mugato::text
