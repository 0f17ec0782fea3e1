// One way in for all text tokenizers: SentencePiece models and byte-level BPE, told apart by their content.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "mugato/token/text_tokenizer.h"

namespace mugato::text {

// `path` names a SentencePiece model, a tokenizer.json, a vocab.json with the merges.txt beside it, or a folder that holds
// one of them under these names (a SentencePiece model as tokenizer.model, which is taken before the others): a checkpoint is
// such a folder. Throws Error when it names nothing of that kind.
std::unique_ptr<TextTokenizer> load_tokenizer(const std::string& path);

// From what TextTokenizer::serialized() returned; `origin` names it in messages.
std::unique_ptr<TextTokenizer> parse_tokenizer(const std::string& bytes, const std::string& origin);

// The name under which a checkpoint keeps a tokenizer: tokenizer.json for BPE, tokenizer.model for SentencePiece.
std::string kept_name(const std::string& serialized);

// The file of that kind in a folder, if there is one.
std::optional<std::filesystem::path> kept_file(const std::filesystem::path& folder);

}  // namespace mugato::text
