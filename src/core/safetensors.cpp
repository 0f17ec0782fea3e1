#include "mugato/core/safetensors.h"

#include <ATen/ATen.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <utility>

#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/core/registry.h"

namespace mugato {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian and data are copied as they lie");

struct Dtype {
  const char* name;
  at::ScalarType type;
};

// In the order of the reference implementation, by which a writer sorts: widest last.
constexpr std::array<Dtype, 10> kDtypes = {{{"BOOL", at::kBool},
                                            {"U8", at::kByte},
                                            {"I8", at::kChar},
                                            {"I16", at::kShort},
                                            {"F16", at::kHalf},
                                            {"BF16", at::kBFloat16},
                                            {"I32", at::kInt},
                                            {"F32", at::kFloat},
                                            {"F64", at::kDouble},
                                            {"I64", at::kLong}}};
constexpr const char* kMetadata = "__metadata__";
constexpr int64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxRank = 64;

ptrdiff_t rank_of(at::ScalarType type) {
  const auto* found = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.type == type; });
  return found == kDtypes.end() ? -1 : found - kDtypes.begin();
}

std::string known_dtypes() {
  std::string all;
  for (const auto& dtype : kDtypes) all += std::string(all.empty() ? "" : " ") + dtype.name;
  return all;
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw Error("'" + path.string() + "' is not a valid safetensors file: " + what,
              "was it copied or downloaded to the end, and written by safetensors?");
}

// The header of one file turned into checked descriptions.
class HeaderParser {
 public:
  HeaderParser(const std::filesystem::path& path, int64_t data_size) : path_(path), data_size_(data_size) {}

  void parse(std::string_view text, StringMap& metadata, std::map<std::string, SafetensorsInfo>& tensors) const {
    const nlohmann::json header = parse_json(text);
    for (const auto& [name, entry] : header.items()) {
      if (name == kMetadata) {
        read_metadata(entry, metadata);
      } else {
        tensors[name] = read_entry(name, entry);
      }
    }
    check_layout(tensors);
  }

 private:
  nlohmann::json parse_json(std::string_view text) const {
    if (text.empty() || text.front() != '{') refuse(path_, "the header does not start with '{'");
    std::vector<std::string> names;
    const auto collect_names = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
      if (depth == 1 && event == nlohmann::json::parse_event_t::key) names.push_back(value.get<std::string>());
      return true;
    };
    nlohmann::json header;
    try {
      header = nlohmann::json::parse(text.begin(), text.end(), collect_names);
    } catch (const nlohmann::json::exception& failure) {
      refuse(path_, std::string("the header is not JSON: ") + failure.what());
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) refuse(path_, "the header names '" + *twice + "' twice");
    return header;
  }

  void read_metadata(const nlohmann::json& entry, StringMap& metadata) const {
    if (!entry.is_object()) refuse(path_, "__metadata__ is not an object");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) refuse(path_, "__metadata__ '" + key + "' is not a string");
      metadata[key] = value.get<std::string>();
    }
  }

  [[noreturn]] void refuse_tensor(const std::string& name, const std::string& what) const {
    refuse(path_, "tensor '" + name + "' " + what);
  }

  SafetensorsInfo read_entry(const std::string& name, const nlohmann::json& entry) const {
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets"))
      refuse_tensor(name, "does not have exactly dtype, shape and data_offsets");
    SafetensorsInfo info;
    info.dtype = read_dtype(name, entry["dtype"]);
    info.shape = read_integers(name, "shape", entry["shape"]);
    if (info.shape.size() > kMaxRank) refuse_tensor(name, "has more than 64 dimensions");
    const auto offsets = read_integers(name, "data_offsets", entry["data_offsets"]);
    if (offsets.size() != 2) refuse_tensor(name, "does not have two data_offsets");
    info.begin = offsets[0];
    info.end = offsets[1];
    check_size(name, info);
    return info;
  }

  at::ScalarType read_dtype(const std::string& name, const nlohmann::json& value) const {
    if (!value.is_string()) refuse_tensor(name, "has a dtype that is not a string");
    const auto text = value.get<std::string>();
    const auto* found = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.name == text; });
    if (found == kDtypes.end())
      throw Error("'" + path_.string() + "': tensor '" + name + "' has dtype '" + text + "', which is not supported",
                  "convert it to one of " + known_dtypes());
    return found->type;
  }

  std::vector<int64_t> read_integers(const std::string& name, const std::string& key, const nlohmann::json& values) const {
    if (!values.is_array()) refuse_tensor(name, "has a " + key + " that is not a list");
    std::vector<int64_t> integers;
    for (const auto& value : values) {
      if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
        refuse_tensor(name, "has a " + key + " with something else than numbers from 0 to 2^63-1");
      integers.push_back(value.get<int64_t>());
    }
    return integers;
  }

  void check_size(const std::string& name, const SafetensorsInfo& info) const {
    // Zeros count as one for the overflow, since strides are computed that way.
    auto bytes = static_cast<int64_t>(c10::elementSize(info.dtype));
    bool empty = false;
    for (const int64_t size : info.shape) {
      empty = empty || size == 0;
      if (__builtin_mul_overflow(bytes, std::max<int64_t>(size, 1), &bytes)) refuse_tensor(name, "is larger than 2^63 bytes");
    }
    if (empty) bytes = 0;
    if (info.begin > info.end || info.end > data_size_)
      refuse_tensor(name, "lies at bytes " + std::to_string(info.begin) + " to " + std::to_string(info.end) + " of " +
                              std::to_string(data_size_));
    if (info.end - info.begin != bytes)
      refuse_tensor(
          name, "has " + std::to_string(info.end - info.begin) + " bytes, its dtype and shape need " + std::to_string(bytes));
  }

  void check_layout(const std::map<std::string, SafetensorsInfo>& tensors) const {
    std::vector<std::pair<const std::string*, const SafetensorsInfo*>> order;
    for (const auto& [name, info] : tensors) order.emplace_back(&name, &info);
    std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
      return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
    });
    int64_t next = 0;
    for (const auto& [name, info] : order) {
      if (info->begin != next)
        refuse_tensor(*name,
                      "starts at byte " + std::to_string(info->begin) + ", the one before ends at " + std::to_string(next));
      next = info->end;
    }
    if (next != data_size_)
      refuse(path_, "the tensors end at byte " + std::to_string(next) + " of " + std::to_string(data_size_));
  }

  const std::filesystem::path& path_;
  int64_t data_size_;
};

std::string make_header(const std::filesystem::path& path, const std::vector<std::pair<std::string, at::Tensor>>& order,
                        const StringMap& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  int64_t begin = 0;
  for (const auto& [name, tensor] : order) {
    const int64_t end = begin + static_cast<int64_t>(tensor.nbytes());
    header[name] = {{"dtype", kDtypes[static_cast<size_t>(rank_of(tensor.scalar_type()))].name},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& failure) {
    throw Error("cannot write '" + path.string() + "': a name or the metadata is not UTF-8: " + failure.what(),
                "rename the tensor, or leave the entry out");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (static_cast<int64_t>(text.size()) > kMaxHeader)
    throw Error("cannot write '" + path.string() + "': the header is longer than 100 MB",
                "write fewer tensors or less metadata");
  return text;
}

}  // namespace

SafetensorsReader::SafetensorsReader(const std::filesystem::path& path) : file_(path) {
  const int64_t size = file_.size();
  if (size < 8) refuse(path, "it has " + std::to_string(size) + " bytes, fewer than 8");
  uint64_t length = 0;
  file_.read(&length, 0, sizeof length);
  if (length > static_cast<uint64_t>(std::min(kMaxHeader, size - 8)))
    refuse(path, "the header would be " + std::to_string(length) + " bytes long; the file has " + std::to_string(size) +
                     " bytes, and 100 MB are the limit");
  data_start_ = 8 + static_cast<int64_t>(length);
  HeaderParser(path, size - data_start_).parse(file_.read(8, static_cast<int64_t>(length)), metadata_, tensors_);
}

at::Tensor SafetensorsReader::read(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    std::vector<std::string> names;
    for (const auto& [known, info] : tensors_) names.push_back(known);
    throw Error("'" + file_.path().string() + "' has no tensor '" + name + "'",
                names.empty() ? "it holds no tensors" : "the nearest name in it is '" + nearest_name(name, names) + "'");
  }
  const SafetensorsInfo& info = found->second;
  at::Tensor tensor = at::empty(info.shape, at::TensorOptions().dtype(info.dtype));
  file_.read(tensor.data_ptr(), data_start_ + info.begin, info.end - info.begin);
  // Any byte but 0 and 1 in a bool is undefined behaviour for whoever reads it.
  if (info.dtype == at::kBool && tensor.numel() > 0) {
    const auto* bytes = static_cast<const uint8_t*>(tensor.data_ptr());
    if (std::any_of(bytes, bytes + tensor.numel(), [](uint8_t byte) { return byte > 1; }))
      refuse(file_.path(), "tensor '" + name + "' is BOOL and has a byte that is neither 0 nor 1");
  }
  return tensor;
}

TensorMap SafetensorsReader::read_all() const {
  TensorMap all;
  for (const auto& [name, info] : tensors_) all[name] = read(name);
  return all;
}

void save_safetensors(const std::filesystem::path& path, const TensorMap& tensors, const StringMap& metadata) {
  std::vector<std::pair<std::string, at::Tensor>> order(tensors.begin(), tensors.end());
  for (const auto& [name, tensor] : order) {
    const std::string where = "cannot write '" + path.string() + "': tensor '" + name + "' ";
    if (name == kMetadata) throw Error(where + "has the name that the format keeps for itself", "rename it");
    if (!tensor.defined()) throw Error(where + "is undefined", "leave it out");
    if (tensor.layout() != at::kStrided) throw Error(where + "is not a dense tensor", "convert it with to_dense()");
    if (rank_of(tensor.scalar_type()) < 0)
      throw Error(where + "has dtype " + c10::toString(tensor.scalar_type()) + ", which is not supported",
                  "convert it to one of " + known_dtypes());
  }
  // The map is sorted by name already; widest first keeps every tensor aligned to its elements.
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return rank_of(a.second.scalar_type()) > rank_of(b.second.scalar_type());
  });
  const std::string header = make_header(path, order, metadata);
  const uint64_t length = header.size();
  AtomicFile file(path);
  file.write({reinterpret_cast<const char*>(&length), 8});
  file.write(header);
  for (const auto& [name, tensor] : order) {
    const at::Tensor dense = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous();
    file.write({static_cast<const char*>(dense.data_ptr()), dense.nbytes()});
  }
  file.commit();
}

}  // namespace mugato
