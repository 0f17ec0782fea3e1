// The paper's text tokenizer: a SentencePiece model (paper 2.1: 32,000 pieces).
#pragma once

#include <memory>
#include <string>

#include "mugato/token/text_tokenizer.h"

namespace mugato::text {

// Throws Error when the file is missing or not a SentencePiece model.
std::unique_ptr<TextTokenizer> load_sentencepiece(const std::string& path);

// From the bytes of a model file; `origin` names them in messages.
std::unique_ptr<TextTokenizer> parse_sentencepiece(const std::string& bytes, const std::string& origin);

}  // namespace mugato::text
