// tokenizer.json of the `tokenizers` package, read and checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "added_tokens.h"
#include "bpe_merges.h"
#include "words.h"

namespace mugato::text {

// What is done to a text between added tokens, one after the other, before its words are merged.
struct PreTokenizerStep {
  enum class Kind { kSplit, kPrefixSpace };
  Kind kind = Kind::kSplit;
  WordKind words = WordKind::kGpt2;  // of kSplit
};

struct BpeFile {
  std::vector<std::string> tokens;  // by id, as the file writes them
  size_t vocabulary_size = 0;       // tokens from here on are added ones
  std::vector<int32_t> byte_ids;    // the token of each of the 256 bytes
  std::vector<Merge> merges;        // by rank
  std::vector<AddedToken> added;
  std::vector<PreTokenizerStep> steps;
  bool nfc = false;          // text is normalised to NFC
  bool whole_words = false;  // a word that is a token is not merged: "ignore_merges"
};

// The names of files that are read.
inline constexpr const char* kTokenizerJson = "tokenizer.json";
inline constexpr const char* kVocabJson = "vocab.json";
inline constexpr const char* kMergesTxt = "merges.txt";

// Throws Error that names `origin` and the key.
BpeFile read_tokenizer_json(const std::string& bytes, const std::string& origin);

// GPT-2's two files as a tokenizer.json of the same ids; <|endoftext|> is an added token if it is in the vocabulary.
std::string tokenizer_json_of(const std::string& vocab_path, const std::string& merges_path);

}  // namespace mugato::text
