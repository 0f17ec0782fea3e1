#include "mugato/core/safetensors.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/core/random.h"
#include "temporary_folder.h"

namespace mugato {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

constexpr std::array kDtypes = {at::kBool,     at::kByte, at::kChar,  at::kShort,  at::kHalf,
                                at::kBFloat16, at::kInt,  at::kFloat, at::kDouble, at::kLong};

std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  return {static_cast<const char*>(dense.data_ptr()), dense.nbytes()};
}

std::string file_of(std::string header, const std::string& data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

// "" when the file is read without an error.
std::string read_error(const std::filesystem::path& path) {
  try {
    SafetensorsReader(path).read_all();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
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

TEST(Safetensors, BrokenFilesAreRefusedByNameAndReason) {
  struct Case {
    std::string bytes, reason;
  };
  const auto one = [](const std::string& entry, const std::string& data) {
    return file_of(std::string("{\"t\":").append(entry).append("}"), data);
  };
  const std::vector<Case> cases = {
      {"", "fewer than 8"},
      {"1234567", "fewer than 8"},
      {"\x08\0\0\0\0\0\0\0{}"s, "header would be 8 bytes"},
      {"\xff\xff\xff\xff\xff\xff\xff\xff{}"s, "header would be"},
      {"\x01\xe1\xf5\x05\0\0\0\0{}"s, "100 MB"},
      {file_of("", ""), "does not start with '{'"},
      {file_of(" {}", ""), "does not start with '{'"},
      {file_of("[]", ""), "does not start with '{'"},
      {file_of("{", ""), "not JSON"},
      {file_of("{}x", ""), "not JSON"},
      {file_of("{\"\xff\":1}", ""), "not JSON"},
      {file_of("{"s.append(100'000, '['), ""), "not JSON"},
      {file_of("{\"a\":"s.append(100'000, '[').append(100'000, ']').append("}"), ""), "exactly dtype, shape"},
      {file_of("{}", "x"), "end at byte 0 of 1"},
      {file_of(R"({"__metadata__":1})", ""), "__metadata__ is not an object"},
      {file_of(R"({"__metadata__":{"a":1}})", ""), "__metadata__ 'a' is not a string"},
      {file_of(R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
               ""),
       "names 't' twice"},
      {one("1", ""), "tensor 't' does not have exactly"},
      {one(R"({"dtype":"U8","shape":[1]})", "x"), "tensor 't' does not have exactly"},
      {one(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1})", "x"), "tensor 't' does not have exactly"},
      {one(R"({"dtype":"U8","shape":[1],"offsets":[0,1]})", "x"), "tensor 't' does not have exactly"},
      {one(R"({"dtype":3,"shape":[1],"data_offsets":[0,1]})", "x"), "dtype that is not a string"},
      {one(R"({"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]})", "x"),
       "tensor 't' has dtype 'F8_E4M3', which is not supported"},
      {one(R"({"dtype":"U8","shape":1,"data_offsets":[0,1]})", "x"), "shape that is not a list"},
      {one(R"({"dtype":"U8","shape":[-1],"data_offsets":[0,1]})", "x"), "shape with something else"},
      {one(R"({"dtype":"U8","shape":[1.0],"data_offsets":[0,1]})", "x"), "shape with something else"},
      {one(R"({"dtype":"U8","shape":["1"],"data_offsets":[0,1]})", "x"), "shape with something else"},
      {one(R"({"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]})", "x"), "shape with something else"},
      {one(R"({"dtype":"U8","shape":[1],"data_offsets":[0]})", "x"), "two data_offsets"},
      {one(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1,2]})", "x"), "two data_offsets"},
      {one(R"({"dtype":"U8","shape":[1],"data_offsets":[-1,0]})", "x"), "data_offsets with something else"},
      {one(R"({"dtype":"U8","shape":[1],"data_offsets":[1,0]})", "x"), "lies at bytes 1 to 0 of 1"},
      {one(R"({"dtype":"U8","shape":[2],"data_offsets":[0,2]})", "x"), "lies at bytes 0 to 2 of 1"},
      {one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,2]})", "xx"), "has 2 bytes, its dtype and shape need 4"},
      {one(R"({"dtype":"F32","shape":[0],"data_offsets":[0,2]})", "xx"), "has 2 bytes, its dtype and shape need 0"},
      {one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})", ""), "larger than 2^63"},
      {one(R"({"dtype":"F32","shape":[0,9223372036854775807,2],"data_offsets":[0,0]})", ""), "larger than 2^63"},
      {one(R"({"dtype":"U8","shape":[1],"data_offsets":[1,2]})", "xx"), "starts at byte 1, the one before ends at 0"},
      {one(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})", "xx"), "end at byte 1 of 2"},
      {one(R"({"dtype":"BOOL","shape":[2],"data_offsets":[0,2]})", "\1\2"), "neither 0 nor 1"},
      {file_of(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
               "xxx"),
       "tensor 'b' starts at byte 1, the one before ends at 2"},
      {file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
               "xxx"),
       "tensor 'b' starts at byte 2, the one before ends at 1"},
      {file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
               "x"),
       "starts at byte 0, the one before ends at 1"},
  };
  const TemporaryFolder folder;
  for (const auto& [bytes, reason] : cases) {
    write_file_atomically(folder / "broken", bytes);
    const std::string error = read_error(folder / "broken");
    EXPECT_THAT(error, HasSubstr(reason)) << bytes.substr(0, 120);
    EXPECT_THAT(error, HasSubstr((folder / "broken").string()));
    EXPECT_THAT(error, HasSubstr("\nhint: "));
  }
}

TEST(Safetensors, ARankAboveTheLimitIsRefused) {
  std::string shape = "1";
  for (int i = 0; i < 64; ++i) shape += ",1";
  const TemporaryFolder folder;
  write_file_atomically(folder / "x",
                        file_of("{\"t\":{\"dtype\":\"U8\",\"shape\":[" + shape + "],\"data_offsets\":[0,1]}}", "x"));
  EXPECT_THAT(read_error(folder / "x"), HasSubstr("more than 64 dimensions"));
}

// Damaged files are read or refused, never more: what is read is no larger than the file.
TEST(Safetensors, RandomDamageNeverCrashes) {
  const TemporaryFolder folder;
  save_safetensors(
      folder / "x",
      {{"a", at::ones({2, 3})}, {"b", at::ones({5}, at::kByte)}, {"c", at::ones({}, at::kLong)}, {"d", at::ones({0, 4})}},
      {{"format", "pt"}});
  const std::string whole = read_file(folder / "x");
  const std::string digits = "0123456789,[]{}\":-.eU";
  int64_t num_refused = 0;
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    Random random(hash_key(seed));
    std::string bytes = whole;
    for (int64_t i = random.between(1, 3); i > 0; --i) {
      const auto at = static_cast<size_t>(random.below(std::ssize(bytes)));
      if (random.chance(0.1)) bytes.resize(at + 1);
      else if (random.chance(0.2) && bytes.size() > 1) bytes.erase(at, 1);
      else if (random.chance(0.2)) bytes.insert(at, 1, digits[static_cast<size_t>(random.below(std::ssize(digits)))]);
      else if (random.chance(0.5)) bytes[at] = digits[static_cast<size_t>(random.below(std::ssize(digits)))];
      else bytes[at] = static_cast<char>(random.bits());
    }
    // A new file each time: shortening one that exists makes some file systems wait for the disk.
    std::filesystem::remove(folder / "y");
    FileWriter(folder / "y", FileWriter::Mode::kTruncate).write(bytes);
    try {
      size_t read = 0;
      for (const auto& [name, tensor] : SafetensorsReader(folder / "y").read_all()) read += tensor.nbytes();
      EXPECT_LE(read, bytes.size());
    } catch (const Error&) {
      ++num_refused;
    }
  }
  // Most damage hits the header, which is most of the file.
  EXPECT_GT(num_refused, 2000);
  EXPECT_LT(num_refused, 4000);
}

}  // namespace
}  // namespace mugato
