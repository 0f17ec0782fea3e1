#include "text_documents.h"

#include <algorithm>

#include "mugato/core/error.h"

namespace mugato::data {
namespace {

constexpr int64_t kPart = int64_t{1} << 20;      // of a large file
constexpr int64_t kRegion = int64_t{1} << 16;    // at least so many bytes between two places that are kept
constexpr int64_t kLongest = int64_t{1} << 26;   // of a document
constexpr int64_t kSearched = int64_t{1} << 16;  // for the end of a line, where a part is cut

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r\f\v") == std::string_view::npos; }

// Calls found(begin, end) for the documents of `bytes`, which begin at the beginning of a line. Returns where the rest begins,
// which the bytes to come may make longer; at the end of the text nothing is left.
template <class Found>
size_t split(std::string_view bytes, TextDocuments::Kind kind, bool at_end, const Found& found) {
  size_t document = std::string_view::npos, document_end = 0;
  const auto close = [&] {
    if (document != std::string_view::npos) found(document, document_end);
    document = std::string_view::npos;
  };
  size_t line = 0;
  while (line < bytes.size()) {
    const size_t newline = bytes.find('\n', line);
    if (newline == std::string_view::npos && !at_end) break;
    const size_t end = std::min(newline, bytes.size());
    if (is_blank(bytes.substr(line, end - line))) {
      close();
    } else {
      if (document == std::string_view::npos) document = line;
      document_end = end > line && bytes[end - 1] == '\r' ? end - 1 : end;
      if (kind == TextDocuments::Kind::kLine) close();
    }
    line = end + 1;
  }
  if (at_end) {
    close();
    return bytes.size();
  }
  return document == std::string_view::npos ? std::min(line, bytes.size()) : document;
}

// The first place from `offset` on where text may be cut: after a line, else before a character.
int64_t cut_after(const FileReader& file, int64_t offset) {
  const auto bytes = file.read(offset, std::min(kSearched, file.size() - offset));
  const size_t newline = bytes.find('\n');
  if (newline != std::string::npos) return offset + static_cast<int64_t>(newline) + 1;
  const auto starts_character = [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; };
  return offset + (std::find_if(bytes.begin(), bytes.end(), starts_character) - bytes.begin());
}

}  // namespace

TextDocuments::TextDocuments(std::vector<std::filesystem::path> files, Kind kind)
    : files_(std::move(files)), kind_(kind), regions_(kind == Kind::kFile ? 0 : kRegion) {
  for (size_t i = 0; i < files_.size(); ++i) {
    const FileReader file(files_[i]);
    regions_.begin_file(i, file.size());
    kind_ == Kind::kFile ? add_parts(file) : add_documents(file);
  }
}

void TextDocuments::add_parts(const FileReader& file) {
  regions_.add(0);
  for (int64_t part = 1; part < file.size() / kPart; ++part) regions_.add(cut_after(file, part * kPart), /*starts=*/false);
}

void TextDocuments::add_documents(const FileReader& file) {
  std::string bytes;
  int64_t begin = 0;  // of `bytes`, in the file
  for (int64_t offset = 0; offset < file.size();) {
    const int64_t count = std::min(kPart, file.size() - offset);
    bytes += file.read(offset, count);
    offset += count;
    const size_t rest = split(bytes, kind_, offset == file.size(),
                              [&](size_t document, size_t) { regions_.add(begin + static_cast<int64_t>(document)); });
    bytes.erase(0, rest);
    begin += static_cast<int64_t>(rest);
    if (static_cast<int64_t>(bytes.size()) > kLongest)
      throw Error(file.path().string() + ", byte " + std::to_string(begin) + ": a document of more than 64 MiB",
                  "is this one document? The key `documents` says what separates them");
  }
}

TextDocuments::Document TextDocuments::get(int64_t index) const {
  const auto& region = regions_.of(index);
  const FileReader reader(files_[region.file]);
  auto bytes = reader.read(region.begin, region.end - region.begin);
  if (kind_ == Kind::kFile) return {std::move(bytes), reader.path(), region.begin, region.starts, region.ends};
  Document document{.file = reader.path()};
  int64_t number = region.first;
  split(bytes, kind_, /*at_end=*/true, [&](size_t begin, size_t end) {
    if (number++ != index) return;
    document.text = bytes.substr(begin, end - begin);
    document.begin = region.begin + static_cast<int64_t>(begin);
  });
  if (number <= index) throw Error(reader.path().string() + " has changed since it was opened", "start again");
  return document;
}

}  // namespace mugato::data
