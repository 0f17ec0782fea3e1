#include "mugato/core/safetensors.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/safetensors_bytes.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/core/random.h"
#include "temporary_folder.h"

namespace mugato {
namespace {

using namespace std::string_literals;
using testing::file_of;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

constexpr std::array kDtypes = {at::kBool,     at::kByte, at::kChar,  at::kShort,  at::kHalf,
                                at::kBFloat16, at::kInt,  at::kFloat, at::kDouble, at::kLong};

std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  return {static_cast<const char*>(dense.data_ptr()), dense.nbytes()};
}

// Any bits, NaNs included: what is copied has to be the same bytes.
at::Tensor random_tensor(Random& random) {
  std::vector<int64_t> shape;
  for (int64_t i = random.below(5); i > 0; --i) shape.push_back(random.below(6));
  const auto dtype = kDtypes[static_cast<size_t>(random.below(kDtypes.size()))];
  at::Tensor tensor = at::empty(shape, at::TensorOptions().dtype(dtype));
  auto* bytes = static_cast<uint8_t*>(tensor.data_ptr());
  for (size_t i = 0; i < tensor.nbytes(); ++i) bytes[i] = static_cast<uint8_t>(random.below(dtype == at::kBool ? 2 : 256));
  return tensor;
}

TEST(Safetensors, EmptyFileIsGolden) {
  const TemporaryFolder folder;
  save_safetensors(folder / "x", {});
  EXPECT_EQ(read_file(folder / "x"), "\x08\0\0\0\0\0\0\0{}      "s);
  EXPECT_TRUE(SafetensorsReader(folder / "x").tensors().empty());
}

TEST(Safetensors, SmallFileIsGolden) {
  const TemporaryFolder folder;
  save_safetensors(
      folder / "x",
      {{"bb", at::tensor({1, 2}, at::kByte)}, {"a", at::tensor({1.0F}, at::kFloat)}, {"c", at::scalar_tensor(-1, at::kLong)}},
      {{"format", "pt"}});
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"c":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"bb":{"dtype":"U8","shape":[2],"data_offsets":[12,14]}})"s;
  std::string padded = header;
  padded.append((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(read_file(folder / "x"), file_of(padded, "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\x80\x3f\x01\x02"s));
}

TEST(Safetensors, RandomTensorsComeBackTheSame) {
  const TemporaryFolder folder;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(hash_key(seed));
    TensorMap written;
    StringMap metadata;
    for (int64_t i = random.below(8); i > 0; --i)
      written["tensor \"\xc3\xa9\" " + std::to_string(random.below(99))] = random_tensor(random);
    for (int64_t i = random.below(3); i > 0; --i)
      metadata["key" + std::to_string(i)] = "line\n\"" + std::to_string(random.bits());
    save_safetensors(folder / "x", written, metadata);
    const SafetensorsReader reader(folder / "x");
    EXPECT_EQ(reader.metadata(), metadata);
    const TensorMap read = reader.read_all();
    ASSERT_EQ(read.size(), written.size());
    for (const auto& [name, tensor] : written) {
      ASSERT_EQ(read.at(name).scalar_type(), tensor.scalar_type());
      ASSERT_EQ(read.at(name).sizes(), tensor.sizes());
      ASSERT_EQ(bytes_of(read.at(name)), bytes_of(tensor));
    }
  }
}

TEST(Safetensors, EveryTensorIsAlignedToItsElements) {
  const TemporaryFolder folder;
  TensorMap tensors;
  for (const auto dtype : kDtypes) tensors[c10::toString(dtype)] = at::zeros({3}, dtype);
  save_safetensors(folder / "x", tensors);
  const SafetensorsReader reader(folder / "x");
  for (const auto& [name, info] : reader.tensors())
    EXPECT_EQ(info.begin % static_cast<int64_t>(c10::elementSize(info.dtype)), 0) << name;
}

TEST(Safetensors, ViewsAreWrittenAsTheyLook) {
  const TemporaryFolder folder;
  const at::Tensor base = at::arange(24, at::kFloat).reshape({4, 6}).requires_grad_();
  const TensorMap views = {{"transposed", base.t()}, {"strided", base.slice(1, 1, 6, 2)}, {"expanded", base[0].expand({3, 6})}};
  save_safetensors(folder / "x", views);
  const TensorMap read = SafetensorsReader(folder / "x").read_all();
  for (const auto& [name, view] : views) EXPECT_TRUE(at::equal(read.at(name), view.detach())) << name;
}

TEST(Safetensors, ReadsWhatTheReferenceImplementationWroteAndWritesTheSameBytes) {
  const std::string path = MUGATO_FIXTURES "/safetensors/gpt2_io.safetensors";
  const SafetensorsReader reader(path);
  EXPECT_EQ(reader.metadata(), (StringMap{{"format", "pt"}}));
  const auto expected = nlohmann::json::parse(read_file(MUGATO_FIXTURES "/safetensors/gpt2_io.json"));
  ASSERT_EQ(reader.tensors().size(), expected.size());
  for (const auto& [name, facts] : expected.items()) {
    const at::Tensor tensor = reader.read(name);
    EXPECT_EQ(tensor.scalar_type(), facts["dtype"] == "I64" ? at::kLong : at::kFloat);
    EXPECT_EQ(tensor.sizes().vec(), facts["shape"].get<std::vector<int64_t>>());
    const at::Tensor flat = tensor.flatten().to(at::kDouble);
    EXPECT_EQ(flat[0].item<double>(), facts["first"].get<double>());
    EXPECT_EQ(flat[-1].item<double>(), facts["last"].get<double>());
    // Sums in another order: n rounding errors of the sum of magnitudes.
    const at::Tensor weighted = flat * at::arange(flat.numel(), at::kDouble);
    const double unit = std::numeric_limits<double>::epsilon() * static_cast<double>(flat.numel());
    EXPECT_NEAR(flat.sum().item<double>(), facts["sum"].get<double>(), unit * flat.abs().sum().item<double>());
    EXPECT_NEAR(weighted.sum().item<double>(), facts["weighted_sum"].get<double>(), unit * weighted.abs().sum().item<double>());
  }
  const TemporaryFolder folder;
  save_safetensors(folder / "x", reader.read_all(), reader.metadata());
  EXPECT_EQ(read_file(folder / "x"), read_file(path));
}

TEST(Safetensors, ReadTensorsOwnTheirMemory) {
  const TemporaryFolder folder;
  save_safetensors(folder / "x", {{"a", at::ones({4})}});
  at::Tensor kept;
  {
    const SafetensorsReader reader(folder / "x");
    kept = reader.read("a");
    reader.read("a").zero_();
    EXPECT_TRUE(at::equal(reader.read("a"), at::ones({4})));
  }
  std::filesystem::remove(folder / "x");
  EXPECT_TRUE(at::equal(kept, at::ones({4})));
}

TEST(Safetensors, WritingSaysWhatItCannotWrite) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::string& name, const at::Tensor& tensor) -> std::string {
    try {
      save_safetensors(folder / "x", {{name, tensor}});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(error_of("a", at::zeros({1}, at::kComplexFloat)), HasSubstr("tensor 'a' has dtype ComplexFloat"));
  EXPECT_THAT(error_of("__metadata__", at::zeros({1})), HasSubstr("keeps for itself"));
  EXPECT_THAT(error_of("a", at::Tensor()), HasSubstr("tensor 'a' is undefined"));
  EXPECT_THAT(error_of("a", at::zeros({2, 2}).to_sparse()), HasSubstr("tensor 'a' is not a dense tensor"));
  EXPECT_THAT(error_of("\xff", at::zeros({1})), HasSubstr("not UTF-8"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, ANameThatIsNotThereGetsTheNearest) {
  const TemporaryFolder folder;
  save_safetensors(folder / "x", {{"weight", at::ones({1})}, {"bias", at::ones({1})}});
  try {
    SafetensorsReader(folder / "x").read("wieght");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("x' has no tensor 'wieght'\nhint: the nearest name in it is 'weight'"));
  }
}

}  // namespace
}  // namespace mugato
