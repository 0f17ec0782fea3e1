#include "mugato/text/bpe.h"

#include <filesystem>
#include <unordered_map>
#include <utility>

#include "bpe_file.h"
#include "byte_tokens.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "text_ids.h"
#include "unicode.h"

namespace fs = std::filesystem;

namespace mugato::text {
namespace {

std::vector<AddedToken> added_of(const BpeFile& file, bool normalized) {
  std::vector<AddedToken> tokens;
  for (const auto& token : file.added)
    if (token.normalized == normalized) tokens.push_back(token);
  return tokens;
}

class BpeTokenizer final : public TextTokenizer {
 public:
  BpeTokenizer(std::string json, std::string origin)
      : json_(std::move(json)),
        origin_(std::move(origin)),
        file_(read_tokenizer_json(json_, origin_)),
        merges_(std::exchange(file_.merges, {})),
        added_(added_of(file_, false)),
        added_normalized_(added_of(file_, true)) {
    if (!file_.whole_words) return;
    for (size_t id = 0; id < file_.vocabulary_size; ++id)
      if (auto bytes = bytes_of_token(file_.tokens[id])) whole_words_.emplace(std::move(*bytes), static_cast<int32_t>(id));
  }

  int64_t size() const override { return static_cast<int64_t>(file_.tokens.size()); }

  std::vector<int32_t> encode(std::string_view text) const override {
    if (text.size() > INT32_MAX)
      throw Error("a text of " + std::to_string(text.size()) + " bytes is too long for a tokenizer",
                  "at most 2^31 - 1 bytes: make several documents of it");
    Output out;
    added_.split(text, [&](std::string_view part, int32_t token) {
      if (token != AddedTokens::kNone) out.ids.push_back(token);
      else encode_normalized(file_.nfc ? nfc(part) : std::string(part), out);
    });
    return std::move(out.ids);
  }

  std::string decode(const std::vector<int32_t>& ids) const override {
    std::string bytes;
    for (size_t i = 0; i < ids.size(); ++i) {
      check_text_id(ids[i], size(), origin_, " at index " + std::to_string(i));
      const auto& token = file_.tokens[static_cast<size_t>(ids[i])];
      bytes += bytes_of_token(token).value_or(token);
    }
    return valid_utf8(std::move(bytes));
  }

  std::string piece(int32_t id) const override {
    check_text_id(id, size(), origin_);
    return file_.tokens[static_cast<size_t>(id)];
  }

  std::string serialized() const override { return json_; }

 private:
  struct Output {
    std::vector<int32_t> ids;
    BpeMerges::Scratch scratch;
  };

  void encode_normalized(std::string_view text, Output& out) const {
    added_normalized_.split(text, [&](std::string_view part, int32_t token) {
      if (token != AddedTokens::kNone) out.ids.push_back(token);
      else pre_tokenize(part, 0, out);
    });
  }

  // The steps from `step` on, and the words that they leave.
  void pre_tokenize(std::string_view text, size_t step, Output& out) const {
    if (step == file_.steps.size()) return encode_word(text, out);
    const auto& [kind, words] = file_.steps[step];
    if (kind == PreTokenizerStep::Kind::kPrefixSpace) {
      if (text.starts_with(' ')) pre_tokenize(text, step + 1, out);
      else pre_tokenize(" " + std::string(text), step + 1, out);
      return;
    }
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = word_end(words, text, begin);
      pre_tokenize(text.substr(begin, end - begin), step + 1, out);
      begin = end;
    }
  }

  void encode_word(std::string_view word, Output& out) const {
    if (file_.whole_words)
      if (const auto found = whole_words_.find(std::string(word)); found != whole_words_.end())
        return out.ids.push_back(found->second);
    const size_t begin = out.ids.size();
    for (const char byte : word) out.ids.push_back(file_.byte_ids[static_cast<uint8_t>(byte)]);
    merges_.apply(out.ids, begin, out.scratch);
  }

  std::string json_, origin_;
  BpeFile file_;
  BpeMerges merges_;
  AddedTokens added_, added_normalized_;
  std::unordered_map<std::string, int32_t> whole_words_;  // by their bytes
};

}  // namespace

std::unique_ptr<TextTokenizer> parse_bpe(const std::string& bytes, const std::string& origin) {
  return std::make_unique<BpeTokenizer>(bytes, origin);
}

std::unique_ptr<TextTokenizer> load_bpe(const std::string& path) {
  const bool is_folder = fs::is_directory(path);
  const fs::path folder = is_folder ? fs::path(path) : fs::path(path).parent_path();
  const bool is_pair = is_folder ? !fs::exists(folder / kTokenizerJson) : fs::path(path).filename() == kVocabJson;
  if (!is_pair) {
    const fs::path file = is_folder ? folder / kTokenizerJson : fs::path(path);
    return std::make_unique<BpeTokenizer>(read_file(file), file.string());
  }
  const auto vocab = (folder / kVocabJson).string(), merges = (folder / kMergesTxt).string();
  return std::make_unique<BpeTokenizer>(tokenizer_json_of(vocab, merges), vocab + " with " + merges);
}

}  // namespace mugato::text
