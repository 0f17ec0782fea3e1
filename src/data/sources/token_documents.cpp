#include "token_documents.h"

#include <algorithm>
#include <cstring>

#include "mugato/core/error.h"
#include "mugato/core/files.h"

namespace mugato::data {
namespace {

constexpr int64_t kHeader = 1024, kPart = int64_t{1} << 18, kRegion = int64_t{1} << 15, kChunk = int64_t{1} << 20;
constexpr int32_t kGpt2 = 20240520, kLlama3 = 20240801, kEvaluation = 20240522, kTokenizer = 20240328;

std::vector<uint32_t> read_ids(const FileReader& reader, const TokenFile& file, int64_t begin, int64_t count) {
  std::vector<uint32_t> ids(static_cast<size_t>(count));
  const int64_t offset = file.offset + begin * file.width;
  if (file.width == 4) {
    reader.read(ids.data(), offset, 4 * count);
  } else {
    std::vector<uint16_t> narrow(ids.size());
    reader.read(narrow.data(), offset, 2 * count);
    std::copy(narrow.begin(), narrow.end(), ids.begin());
  }
  return ids;
}

// Cuts a stream of ids into documents and parts of them.
class Cutter {
 public:
  Cutter(int64_t end_of_text, int64_t begin, bool starts)
      : end_of_text_(end_of_text), begin_(begin), place_(begin), starts_(starts) {}

  // Calls found(begin, end, starts, ends) for every document or part that these ids complete.
  template <class Found>
  void feed(const std::vector<uint32_t>& ids, const Found& found) {
    for (const uint32_t id : ids) {
      if (place_ - begin_ == kPart && id != end_of_text_) close(false, found);
      if (id == end_of_text_) {
        close(true, found);
        begin_ = place_ + 1;
      }
      ++place_;
    }
  }

  template <class Found>
  void close(bool ends, const Found& found) {
    if (place_ > begin_) found(begin_, place_, starts_, ends);
    begin_ = place_;
    starts_ = ends;
  }

 private:
  int64_t end_of_text_, begin_, place_;
  bool starts_;
};

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what, const std::string& hint) {
  throw Error(path.string() + ": " + what, hint);
}

}  // namespace

TokenFile inspect_token_file(const std::filesystem::path& path, const std::string& token_type) {
  const FileReader reader(path);
  TokenFile file{.path = path, .format = "nanoGPT"};
  int32_t header[3] = {};
  if (reader.size() >= kHeader) reader.read(header, 0, sizeof header);
  if (header[0] == kEvaluation || header[0] == kTokenizer)
    refuse(path, std::string("this is llm.c's file of ") + (header[0] == kEvaluation ? "an evaluation" : "a tokenizer"),
           "give files of token ids");
  const bool is_gpt2 = header[0] == kGpt2, is_llama = header[0] == kLlama3;
  if (is_gpt2 || is_llama) {
    const int32_t version = is_gpt2 ? 1 : 7;
    if (header[1] != version)
      refuse(path, "llm.c's header has version " + std::to_string(header[1]) + ", not " + std::to_string(version),
             "write it again with llm.c's present scripts");
    file = {path, kHeader, header[2], is_gpt2 ? 2 : 4, is_gpt2 ? "llm.c GPT-2" : "llm.c Llama 3"};
    if (reader.size() != kHeader + file.count * file.width)
      refuse(path,
             "the header says " + std::to_string(file.count) + " ids, the file has room for " +
                 std::to_string((reader.size() - kHeader) / file.width),
             "the file is cut or damaged: copy it again");
    return file;
  }
  file.width = token_type == "uint32" ? 4 : 2;
  if (reader.size() == 0 || reader.size() % file.width != 0)
    refuse(path, std::to_string(reader.size()) + " bytes are no ids of " + std::to_string(file.width) + " bytes each",
           "the file is cut, or token_type is another");
  file.count = reader.size() / file.width;
  return file;
}

TokenDocuments::TokenDocuments(std::vector<TokenFile> files, int64_t end_of_text)
    : files_(std::move(files)), end_of_text_(end_of_text), regions_(kRegion) {
  for (size_t i = 0; i < files_.size(); ++i) add_documents(i);
}

void TokenDocuments::add_documents(size_t file) {
  const FileReader reader(files_[file].path);
  const int64_t count = files_[file].count;
  regions_.begin_file(file, count);
  const auto found = [&](int64_t begin, int64_t, bool starts, bool) { regions_.add(begin, starts); };
  Cutter cutter(end_of_text_, 0, /*starts=*/true);
  for (int64_t begin = 0; begin < count; begin += kChunk)
    cutter.feed(read_ids(reader, files_[file], begin, std::min(kChunk, count - begin)), found);
  cutter.close(/*ends=*/true, found);
}

TokenDocuments::Document TokenDocuments::get(int64_t index) const {
  const auto& region = regions_.of(index);
  const auto& file = files_[region.file];
  const auto ids = read_ids(FileReader(file.path), file, region.begin, region.end - region.begin);
  Document document{.file = file.path.string()};
  int64_t number = region.first;
  const auto found = [&](int64_t begin, int64_t end, bool starts, bool ends) {
    if (number++ != index) return;
    const auto wide = std::vector<int64_t>(ids.begin() + (begin - region.begin), ids.begin() + (end - region.begin));
    document = {at::tensor(wide, at::kLong), document.file, begin, starts, ends};
  };
  Cutter cutter(end_of_text_, region.begin, region.starts);
  cutter.feed(ids, found);
  cutter.close(region.ends, found);
  TORCH_CHECK(number > index, "region of document ", index);
  return document;
}

}  // namespace mugato::data
