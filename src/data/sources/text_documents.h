// Documents of plain text files, by index, of files of any size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "document_regions.h"
#include "mugato/core/files.h"

namespace mugato::data {

class TextDocuments {
 public:
  // kFile: a file, and one that is larger than a mebibyte in parts, each cut after a line. kLine: a line that is not blank.
  // kBlankLine: lines in a row that are not blank.
  enum class Kind { kFile, kLine, kBlankLine };

  // Reads the files once, except with kFile, and keeps where every 64 KiB of documents begin. Throws Error with file and byte
  // for what cannot be read, and for a document of more than 64 MiB.
  TextDocuments(std::vector<std::filesystem::path> files, Kind kind);

  int64_t size() const { return regions_.size(); }

  struct Document {
    std::string text;
    std::filesystem::path file;
    int64_t begin = 0;                // byte in the file
    bool starts = true, ends = true;  // whether the file's text begins and ends here; always with kLine and kBlankLine
  };
  Document get(int64_t index) const;  // thread-safe

 private:
  void add_parts(const FileReader& file);
  void add_documents(const FileReader& file);

  std::vector<std::filesystem::path> files_;
  Kind kind_;
  DocumentRegions regions_;  // of bytes
};

}  // namespace mugato::data
