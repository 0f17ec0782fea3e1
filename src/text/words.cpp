#include "words.h"

#include <array>
#include <utility>

#include "unicode.h"

namespace mugato::text {
namespace {

using enum CharacterKind;

constexpr std::array<std::pair<std::string_view, WordKind>, 4> kPatterns = {{
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", WordKind::kGpt2},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", WordKind::kGpt2},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     WordKind::kLlama3},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     WordKind::kQwen2},
}};

CharacterKind kind_at(std::string_view text, size_t at) { return kind_of(code_point_at(text, at).value); }

bool is_newline(char c) { return c == '\r' || c == '\n'; }

// The end of 's, 't, 're, 've, 'm, 'll or 'd at `at`; `at` where there is none.
size_t end_of_contraction(std::string_view text, size_t at, bool any_case) {
  if (text[at] != '\'') return at;
  const auto letter = [&](size_t i) {
    const char c = i < text.size() ? text[i] : '\0';
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c;
  };
  const char first = letter(at + 1), second = letter(at + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
  if ((second == 'e' && (first == 'r' || first == 'v')) || (first == 'l' && second == 'l')) return at + 3;
  constexpr std::string_view kLongS = "\u017F";  // folds to s
  return any_case && text.substr(at + 1).starts_with(kLongS) ? at + 1 + kLongS.size() : at;
}

// White space up to the next word, which takes the last character of several.
size_t end_of_spaces(std::string_view text, size_t at) {
  size_t last = at, end = at;
  while (end < text.size()) {
    const auto [value, length] = code_point_at(text, end);
    if (kind_of(value) != kSpace) break;
    last = end;
    end += length;
  }
  return end == text.size() || last == at ? end : last;
}

size_t gpt2_word_end(std::string_view text, size_t at) {
  if (const size_t end = end_of_contraction(text, at, false); end > at) return end;
  const size_t begin = at + (text[at] == ' ' ? 1 : 0);
  if (begin < text.size())
    if (const auto kind = kind_at(text, begin); kind != kSpace) return end_of_kind(text, begin, kind);
  return end_of_spaces(text, at);
}

size_t llama3_word_end(std::string_view text, size_t at, int most_digits) {
  if (const size_t end = end_of_contraction(text, at, true); end > at) return end;
  const auto [value, length] = code_point_at(text, at);
  const auto kind = kind_of(value);
  if (kind == kNumber) {
    size_t end = at + length;
    for (int n = 1; n < most_digits && end < text.size() && kind_at(text, end) == kNumber; ++n)
      end += code_point_at(text, end).length;
    return end;
  }
  // One character of any other kind goes with the letters behind it.
  const size_t letters = kind == kLetter || is_newline(text[at]) ? at : at + length;
  if (const size_t end = end_of_kind(text, letters, kLetter); end > letters) return end;
  const size_t symbols = at + (text[at] == ' ' ? 1 : 0);
  if (size_t end = end_of_kind(text, symbols, kOther); end > symbols) {
    while (end < text.size() && is_newline(text[end])) ++end;
    return end;
  }
  const auto spaces = text.substr(at, end_of_kind(text, at, kSpace) - at);
  const size_t newline = spaces.find_last_of("\r\n");
  return newline != std::string_view::npos ? at + newline + 1 : end_of_spaces(text, at);
}

}  // namespace

std::optional<WordKind> word_kind_of(std::string_view regex) {
  for (const auto& [pattern, kind] : kPatterns)
    if (pattern == regex) return kind;
  return std::nullopt;
}

size_t word_end(WordKind kind, std::string_view text, size_t at) {
  if (kind == WordKind::kGpt2) return gpt2_word_end(text, at);
  return llama3_word_end(text, at, kind == WordKind::kLlama3 ? 3 : 1);
}

}  // namespace mugato::text
