// Documents of files of token ids, by index, of files of any size.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "document_regions.h"

namespace mugato::data {

// What a file of ids is, by its first bytes.
struct TokenFile {
  std::filesystem::path path;
  int64_t offset = 0;       // of the first id
  int64_t count = 0;        // of ids
  int64_t width = 2;        // bytes of an id
  const char* format = "";  // "nanoGPT", "llm.c GPT-2", "llm.c Llama 3"
};

// Told apart by magic: llm.c's 20240520 (16 bits) and 20240801 (32 bits), each with a header of 1024 bytes that has the number
// of ids; anything else is nanoGPT's, without a header, of `token_type` ids ("auto": uint16). Throws Error for a header that
// disagrees with the size of the file, and for llm.c's files that are no token ids.
TokenFile inspect_token_file(const std::filesystem::path& path, const std::string& token_type);

// Ids between two ids `end_of_text`, which is in none: nanoGPT puts it after a document, llm.c before. What has more than 2^18
// is read in parts.
class TokenDocuments {
 public:
  // Reads the files once, and keeps where every 2^15 ids of documents begin. An end_of_text of -1 ends nothing.
  TokenDocuments(std::vector<TokenFile> files, int64_t end_of_text);

  int64_t size() const { return regions_.size(); }
  const std::vector<TokenFile>& files() const { return files_; }

  struct Document {
    at::Tensor ids;  // (T), int64
    std::string file;
    int64_t begin = 0;  // number of its first id in the file
    bool starts = true, ends = true;
  };
  Document get(int64_t index) const;  // thread-safe

 private:
  void add_documents(size_t file);

  std::vector<TokenFile> files_;
  int64_t end_of_text_;
  DocumentRegions regions_;  // of ids
};

}  // namespace mugato::data
