// Files that are no safetensors: refused with a reason, never a crash.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/safetensors_bytes.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/core/random.h"
#include "mugato/core/safetensors.h"
#include "temporary_folder.h"

namespace mugato {
namespace {

using namespace std::string_literals;
using testing::file_of;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

// "" when the file is read without an error.
std::string read_error(const std::filesystem::path& path) {
  try {
    SafetensorsReader(path).read_all();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
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
