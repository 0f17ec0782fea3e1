// Where a text is cut into the words that BPE merges within.
#pragma once

#include <optional>
#include <string_view>

namespace mugato::text {

// One kind per regular expression that tokenizers of this family are published with.
enum class WordKind {
  kGpt2,    // GPT-2's
  kLlama3,  // Llama 3's, GPT-4's: numbers in parts of up to three digits
  kQwen2,   // the same, every digit alone
};

// The kind whose words a regular expression matches, told by its text.
std::optional<WordKind> word_kind_of(std::string_view regex);

// The end of the word that begins at `at`, at < text.size(). Words leave nothing out. Bytes that are no UTF-8 are symbols, as
// punctuation marks are.
size_t word_end(WordKind kind, std::string_view text, size_t at);

}  // namespace mugato::text
