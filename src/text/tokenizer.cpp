#include "mugato/text/tokenizer.h"

#include "bpe_file.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/text/bpe.h"
#include "mugato/text/sentencepiece.h"

namespace fs = std::filesystem;

namespace mugato::text {
namespace {

constexpr const char* kModel = "tokenizer.model";

// A JSON object. A SentencePiece model begins with a newline, too, and may go on with a brace, but never with a quote then.
bool is_json(std::string_view bytes) {
  constexpr const char* kSpaces = " \t\r\n";
  const size_t brace = bytes.find_first_not_of(kSpaces);
  if (brace == std::string_view::npos || bytes[brace] != '{') return false;
  const size_t next = bytes.find_first_not_of(kSpaces, brace + 1);
  return next == std::string_view::npos || bytes[next] == '"' || bytes[next] == '}';
}

}  // namespace

std::unique_ptr<TextTokenizer> parse_tokenizer(const std::string& bytes, const std::string& origin) {
  return is_json(bytes) ? parse_bpe(bytes, origin) : parse_sentencepiece(bytes, origin);
}

std::string kept_name(const std::string& serialized) { return is_json(serialized) ? kTokenizerJson : kModel; }

std::optional<fs::path> kept_file(const fs::path& folder) {
  for (const char* name : {kModel, kTokenizerJson})
    if (fs::exists(folder / name)) return folder / name;
  return std::nullopt;
}

std::unique_ptr<TextTokenizer> load_tokenizer(const std::string& path) {
  if (fs::is_directory(path)) {
    if (const auto file = kept_file(path)) return load_tokenizer(file->string());
    if (fs::exists(fs::path(path) / kVocabJson)) return load_bpe(path);
    throw Error(
        "'" + path + "' is a folder without a text tokenizer",
        std::string("it would be called ") + kModel + ", " + kTokenizerJson + ", or " + kVocabJson + " with " + kMergesTxt);
  }
  if (fs::path(path).filename() == kVocabJson) return load_bpe(path);
  return parse_tokenizer(read_file(path), path);
}

}  // namespace mugato::text
