#include "mugato/data/digest.h"

#include <zlib.h>

#include <nlohmann/json.hpp>

namespace mugato::data {
namespace {

using nlohmann::json;

constexpr int64_t kShown = 8;        // values of the first and the last row
constexpr int64_t kShownSteps = 12;  // values of a leaf that is one number a timestep

const char* numpy_name(at::ScalarType type) {
  switch (type) {
    case at::kByte:
      return "uint8";
    case at::kChar:
      return "int8";
    case at::kShort:
      return "int16";
    case at::kUInt16:
      return "uint16";
    case at::kInt:
      return "int32";
    case at::kUInt32:
      return "uint32";
    case at::kLong:
      return "int64";
    case at::kUInt64:
      return "uint64";
    case at::kHalf:
      return "float16";
    case at::kFloat:
      return "float32";
    case at::kDouble:
      return "float64";
    case at::kBool:
      return "bool";
    default:
      TORCH_CHECK(false, "a leaf of type ", type);
  }
}

uint32_t crc_of(const void* bytes, size_t size) {
  return static_cast<uint32_t>(crc32_z(crc32_z(0, nullptr, 0), static_cast<const Bytef*>(bytes), size));
}

json numbers(const at::Tensor& values) {
  if (values.scalar_type() == at::kBool) {
    const auto bytes = values.contiguous();
    return std::vector<bool>(bytes.const_data_ptr<bool>(), bytes.const_data_ptr<bool>() + bytes.numel());
  }
  if (values.scalar_type() == at::kUInt64) {
    const auto words = values.contiguous();
    return std::vector<uint64_t>(words.const_data_ptr<uint64_t>(), words.const_data_ptr<uint64_t>() + words.numel());
  }
  if (at::isFloatingType(values.scalar_type())) {
    const auto doubles = values.to(at::kDouble).contiguous();
    return std::vector<double>(doubles.const_data_ptr<double>(), doubles.const_data_ptr<double>() + doubles.numel());
  }
  const auto integers = values.to(at::kLong).contiguous();
  return std::vector<int64_t>(integers.const_data_ptr<int64_t>(), integers.const_data_ptr<int64_t>() + integers.numel());
}

json shown(const at::Tensor& row) {
  const auto flat = row.reshape({-1});
  return numbers(flat.narrow(0, 0, std::min(flat.numel(), kShown)));
}

double finite_sum(const at::Tensor& values) {
  const auto doubles = values.to(at::kDouble);
  return at::where(at::isfinite(doubles), doubles, at::zeros({}, at::kDouble)).sum().item<double>();
}

json describe_text(const std::vector<std::string>& text) {
  std::string joined;
  for (size_t i = 0; i < text.size(); ++i) joined += (i == 0 ? "" : "\n") + text[i];
  return {{"kind", "text"},
          {"length", text.size()},
          {"first", text.front()},
          {"last", text.back()},
          {"crc32", crc_of(joined.data(), joined.size())}};
}

json describe(const Leaf& leaf) {
  if (!leaf.text.empty()) return describe_text(leaf.text);
  const auto values = leaf.values.contiguous();
  json out = {{"dtype", numpy_name(values.scalar_type())},
              {"shape", values.sizes().vec()},
              {"crc32", crc_of(values.const_data_ptr(), values.nbytes())}};
  if (values.scalar_type() != at::kBool && values.numel() > 0) {
    out["sum"] = finite_sum(values);
    out["first"] = shown(values[0]);
    out["last"] = shown(values[-1]);
  }
  if (leaf.group.empty() && values.dim() == 1)
    out["values"] = numbers(values.narrow(0, 0, std::min(values.size(0), kShownSteps)));
  return out;
}

}  // namespace

std::string digest(const RawEpisode& episode) {
  json out = {{"total_steps", episode.num_steps}, {"attributes", json::parse(episode.attributes)}};
  std::visit([&](const auto& id) { out["id"] = id; }, episode.id);
  for (const auto& leaf : episode.leaves) (leaf.group.empty() ? out[leaf.name] : out[leaf.group][leaf.name]) = describe(leaf);
  return out.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

}  // namespace mugato::data
