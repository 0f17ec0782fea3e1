// Tensors by name in a file of the safetensors format: 8 bytes header length, a JSON header, raw little-endian data.
// Dtypes: BOOL U8 I8 I16 F16 BF16 I32 F32 F64 I64. Errors name the file and the tensor.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "mugato/core/files.h"

namespace mugato {

using TensorMap = std::map<std::string, at::Tensor>;
using StringMap = std::map<std::string, std::string>;

struct SafetensorsInfo {
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
  int64_t begin = 0;  // bytes from the start of the data
  int64_t end = 0;
};

// Reads the header at once and tensors when asked. The header is checked strictly: tensors lie without gap or overlap, each
// as long as dtype and shape say, and the last one ends with the file; anything else throws Error.
class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::filesystem::path& path);

  const StringMap& metadata() const { return metadata_; }
  const std::map<std::string, SafetensorsInfo>& tensors() const { return tensors_; }

  // A CPU tensor with memory of its own. Throws Error when there is none of that name.
  at::Tensor read(const std::string& name) const;
  TensorMap read_all() const;

 private:
  FileReader file_;
  int64_t data_start_ = 0;
  StringMap metadata_;
  std::map<std::string, SafetensorsInfo> tensors_;
};

// Writes the file atomically, one tensor after another: at most one is copied (from a GPU, or to be contiguous) at a time.
// Throws Error for dtypes that the format does not have and names that are not UTF-8 or reserved.
void save_safetensors(const std::filesystem::path& path, const TensorMap& tensors, const StringMap& metadata = {});

}  // namespace mugato
