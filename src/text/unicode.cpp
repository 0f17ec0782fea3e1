#include "unicode.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <unordered_map>
#include <vector>

namespace mugato::text {
namespace {

struct CodePointRange {
  char32_t first, last;
};
struct CombiningRange {
  char32_t first, last;
  uint8_t combining_class;
};
struct Decomposition {
  char32_t composed, first, second;
};

#include "unicode_tables.inc"

// The range that holds a code point, or null.
template <class Range, size_t kSize>
const Range* find_range(const Range (&ranges)[kSize], char32_t code_point) {
  const Range* after = std::upper_bound(std::begin(ranges), std::end(ranges), code_point,
                                        [](char32_t c, const Range& range) { return c < range.first; });
  return after != std::begin(ranges) && code_point <= std::prev(after)->last ? std::prev(after) : nullptr;
}

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

struct Decompositions {
  std::unordered_map<char32_t, const Decomposition*> by_composed;
  std::map<std::pair<char32_t, char32_t>, char32_t> composed;

  Decompositions() {
    for (const auto& entry : kOneWay) by_composed[entry.composed] = &entry;
    for (const auto& entry : kComposing) {
      by_composed[entry.composed] = &entry;
      composed[{entry.first, entry.second}] = entry.composed;
    }
  }
};

const Decompositions& decompositions() {
  static const Decompositions all;
  return all;
}

// Hangul's syllables are counted through: leading consonant, vowel, trailing consonant (or none).
constexpr char32_t kSyllable = 0xAC00, kLeading = 0x1100, kVowel = 0x1161, kTrailing = 0x11A7;
constexpr char32_t kNumLeading = 19, kNumVowels = 21, kNumTrailing = 28,
                   kNumSyllables = kNumLeading * kNumVowels * kNumTrailing;

struct Symbol {
  char32_t code_point;
  uint8_t combining_class;
};

// Raw bytes travel through the normal form above all code points.
constexpr char32_t kRawByte = 0x110000;

void append_decomposed(std::vector<Symbol>& out, char32_t c) {
  if (c >= kSyllable && c < kSyllable + kNumSyllables) {
    const char32_t index = c - kSyllable, trailing = index % kNumTrailing;
    out.push_back({kLeading + index / kNumTrailing / kNumVowels, 0});
    out.push_back({kVowel + index / kNumTrailing % kNumVowels, 0});
    if (trailing > 0) out.push_back({kTrailing + trailing, 0});
    return;
  }
  const auto& all = decompositions().by_composed;
  if (const auto found = all.find(c); found != all.end()) {
    append_decomposed(out, found->second->first);
    if (found->second->second != 0) append_decomposed(out, found->second->second);
    return;
  }
  const CombiningRange* range = find_range(kCombining, c);
  out.push_back({c, range ? range->combining_class : uint8_t{0}});
}

// The character that two compose to, or 0.
char32_t compose(char32_t first, char32_t second) {
  if (first >= kLeading && first < kLeading + kNumLeading && second >= kVowel && second < kVowel + kNumVowels)
    return kSyllable + ((first - kLeading) * kNumVowels + second - kVowel) * kNumTrailing;
  if (first >= kSyllable && first < kSyllable + kNumSyllables && (first - kSyllable) % kNumTrailing == 0 &&
      second > kTrailing && second < kTrailing + kNumTrailing)
    return first + second - kTrailing;
  const auto& all = decompositions().composed;
  const auto found = all.find({first, second});
  return found == all.end() ? 0 : found->second;
}

// Marks of one character by their class, those of the same class in the order of the text.
void sort_marks(std::vector<Symbol>& symbols) {
  const auto is_starter = [](const Symbol& symbol) { return symbol.combining_class == 0; };
  for (auto begin = symbols.begin(); begin != symbols.end();) {
    begin = std::find_if_not(begin, symbols.end(), is_starter);
    const auto end = std::find_if(begin, symbols.end(), is_starter);
    std::stable_sort(begin, end, [](const Symbol& a, const Symbol& b) { return a.combining_class < b.combining_class; });
    begin = end;
  }
}

// A character composes with the last starter, unless one between them is a starter or has its class or a higher one.
void compose_all(std::vector<Symbol>& symbols) {
  size_t size = 0, starter = 0;
  bool has_starter = false;
  for (const Symbol symbol : symbols) {
    const bool blocked = size > starter + 1 && symbols[size - 1].combining_class >= symbol.combining_class;
    const char32_t composed = has_starter && !blocked ? compose(symbols[starter].code_point, symbol.code_point) : 0;
    if (composed != 0) {
      symbols[starter].code_point = composed;
      continue;
    }
    if (symbol.combining_class == 0) {
      starter = size;
      has_starter = true;
    }
    symbols[size++] = symbol;
  }
  symbols.resize(size);
}

}  // namespace

CodePoint code_point_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<uint8_t>(text[at + i]) : uint8_t{0}; };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t rest = lead >= 0xC2 && lead <= 0xDF   ? 1
                      : lead >= 0xE0 && lead <= 0xEF ? 2
                      : lead >= 0xF0 && lead <= 0xF4 ? 3
                                                     : 0;
  if (rest == 0) return {CodePoint::kInvalid, 1};
  // The second byte keeps out longer forms than needed, surrogates, and what is above U+10FFFF.
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80, high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t value = static_cast<char32_t>(lead & (0x3F >> rest));
  for (size_t i = 1; i <= rest; ++i) {
    const uint8_t next = byte(i);
    if (next < low || next > high) return {CodePoint::kInvalid, i};
    value = value << 6 | (next & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {value, rest + 1};
}

void append_utf8(std::string& text, char32_t c) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | c >> 6);
    tail(0);
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | c >> 12);
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0 | c >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string valid_utf8(std::string text) {
  std::string valid;
  size_t copied = 0;
  for (size_t at = 0; at < text.size();) {
    const auto [value, length] = code_point_at(text, at);
    if (value == CodePoint::kInvalid) {
      valid.append(text, copied, at - copied).append("\xEF\xBF\xBD");
      copied = at + length;
    }
    at += length;
  }
  return copied == 0 ? text : valid.append(text, copied);
}

CharacterKind kind_of(char32_t c) {
  if (c < 0x80) {
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') return CharacterKind::kLetter;
    if (c >= '0' && c <= '9') return CharacterKind::kNumber;
  } else {
    if (find_range(kLetters, c)) return CharacterKind::kLetter;
    if (find_range(kNumbers, c)) return CharacterKind::kNumber;
  }
  return is_space(c) ? CharacterKind::kSpace : CharacterKind::kOther;
}

size_t end_of_kind(std::string_view text, size_t at, CharacterKind kind) {
  while (at < text.size()) {
    const auto [value, length] = code_point_at(text, at);
    if (kind_of(value) != kind) break;
    at += length;
  }
  return at;
}

std::string nfc(std::string_view text) {
  // Nothing below U+0300, whose first byte is 0xCC, changes or composes with its neighbours.
  if (std::none_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) >= 0xCC; })) return std::string(text);
  std::vector<Symbol> symbols;
  for (size_t at = 0; at < text.size();) {
    const auto [value, length] = code_point_at(text, at);
    if (value != CodePoint::kInvalid) append_decomposed(symbols, value);
    else
      for (size_t i = 0; i < length; ++i) symbols.push_back({kRawByte + static_cast<uint8_t>(text[at + i]), 0});
    at += length;
  }
  sort_marks(symbols);
  compose_all(symbols);
  std::string normal;
  for (const auto& symbol : symbols)
    if (symbol.code_point >= kRawByte) normal += static_cast<char>(symbol.code_point - kRawByte);
    else append_utf8(normal, symbol.code_point);
  return normal;
}

}  // namespace mugato::text
