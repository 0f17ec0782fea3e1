// The paper's text tokenizer: a SentencePiece model (paper 2.1: 32,000 pieces).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "mugato/token/text_tokenizer.h"

namespace mugato::text {

// Throws Error when the file is missing or not a SentencePiece model.
std::unique_ptr<TextTokenizer> load_sentencepiece(const std::string& path);

// From the bytes of a model file; `origin` names them in messages.
std::unique_ptr<TextTokenizer> parse_sentencepiece(const std::string& bytes, const std::string& origin);

// Texts one after the other; none at the end.
using TextStream = std::function<std::optional<std::string>()>;

struct SentencePieceOptions {
  int64_t vocab_size = 32000;               // pieces; single bytes and <unk> are among them
  bool at_most = false;                     // fewer pieces, when the text does not give vocab_size of them, are no error
  std::string model_type = "unigram";       // or "bpe"
  bool byte_fallback = true;                // characters without a piece become bytes, and any text decodes to itself
  double character_coverage = 0.9995;       // share of the characters that get pieces of their own, in [0.98, 1]
  int64_t input_sentence_size = 1'000'000;  // sentences kept to train on, drawn at random, above 100; bounds the memory
  int64_t max_sentence_bytes = 4192;        // longer texts are cut between words
};

// Trains a model and returns its bytes, the same for the same texts on every machine. Text is taken as it is: no Unicode
// folding, every space kept; document ends are ids of the Vocabulary, so there are none here. Throws Error when there is no
// text, or not enough of it for the pieces asked for.
std::string train_sentencepiece(const TextStream& texts, const SentencePieceOptions& options);

}  // namespace mugato::text
