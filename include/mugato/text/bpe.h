// Byte-level BPE: the text tokenizers of GPT-2, Llama 3, Qwen 2 and their relatives, with the ids of the package `tokenizers`.
#pragma once

#include <memory>
#include <string>

#include "mugato/token/text_tokenizer.h"

namespace mugato::text {

// Reads a tokenizer.json of the package `tokenizers`, or GPT-2's vocab.json with the merges.txt beside it. `path` names
// tokenizer.json, vocab.json, or a folder, of which tokenizer.json is taken if it is there.
//
// Of tokenizer.json: a model BPE over bytes; the pre-tokenizer ByteLevel, alone or behind Splits by the regular expressions of
// GPT-2, Llama 3 (GPT-4) or Qwen 2; the normalizer NFC or none; added tokens, special ones too, wherever the text has them.
// Anything else that would change ids is an Error that names it. A post-processor, padding and truncation are for who makes
// batches: ids are those of `encode(text, add_special_tokens=False)` without truncation. Of the pair, <|endoftext|> is an added
// token.
//
// Encoding never fails, up to 2^31 - 1 bytes: bytes that are no UTF-8 count as symbols, and decode to U+FFFD. A vocabulary
// with ids that are missing, there twice or too large, or with merges of unknown tokens is an Error.
std::unique_ptr<TextTokenizer> load_bpe(const std::string& path);

// From the bytes of a tokenizer.json; `origin` names them in messages.
std::unique_ptr<TextTokenizer> parse_bpe(const std::string& bytes, const std::string& origin);

}  // namespace mugato::text
