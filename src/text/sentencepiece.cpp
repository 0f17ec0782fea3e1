#include "mugato/text/sentencepiece.h"

#include <sentencepiece_processor.h>

#include <fstream>
#include <iterator>
#include <utility>

#include "mugato/core/error.h"
#include "text_ids.h"

namespace mugato::text {
namespace {

class SentencePieceTokenizer final : public TextTokenizer {
 public:
  SentencePieceTokenizer(std::string bytes, std::string origin) : bytes_(std::move(bytes)), origin_(std::move(origin)) {
    const auto status = processor_.LoadFromSerializedProto(bytes_);
    if (!status.ok() || processor_.GetPieceSize() < 1)
      throw Error("'" + origin_ + "' (" + std::to_string(bytes_.size()) + " bytes) is not a SentencePiece model",
                  "give the .model file that SentencePiece's trainer wrote, not its .vocab");
  }

  int64_t size() const override { return processor_.GetPieceSize(); }

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int> ids;
    if (text.empty()) return ids;
    const auto status = processor_.Encode(text, &ids);
    TORCH_CHECK(status.ok(), "SentencePiece could not encode ", text.size(), " bytes: ", status.ToString());
    return ids;
  }

  std::string decode(const std::vector<int32_t>& ids) const override {
    for (size_t i = 0; i < ids.size(); ++i) check_text_id(ids[i], size(), origin_, " at index " + std::to_string(i));
    std::string text;
    const auto status = processor_.Decode(ids, &text);
    TORCH_CHECK(status.ok(), "SentencePiece could not decode ", ids.size(), " ids: ", status.ToString());
    return text;
  }

  std::string piece(int32_t id) const override {
    check_text_id(id, size(), origin_);
    return processor_.IdToPiece(id);
  }

  std::string serialized() const override { return bytes_; }

 private:
  std::string bytes_, origin_;
  sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace

std::unique_ptr<TextTokenizer> parse_sentencepiece(const std::string& bytes, const std::string& origin) {
  return std::make_unique<SentencePieceTokenizer>(bytes, origin);
}

std::unique_ptr<TextTokenizer> load_sentencepiece(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  file.peek();  // a folder can be opened, but not read
  if (!file.is_open() || file.bad())
    throw Error("cannot read the SentencePiece model '" + path + "'", "check the path; it names a .model file");
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return std::make_unique<SentencePieceTokenizer>(std::move(bytes), path);
}

}  // namespace mugato::text
