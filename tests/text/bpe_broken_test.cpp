// Files that are no byte-level BPE, or broken: an Error that says what and where, never a crash.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "message_of.h"
#include "mugato/core/files.h"
#include "mugato/core/random.h"
#include "mugato/text/bpe.h"
#include "nested.h"
#include "temporary_folder.h"

namespace mugato::text {
namespace {

using nlohmann::json;
using testing::TemporaryFolder;

const std::string kFolder = std::string(MUGATO_FIXTURES) + "/bpe";

std::string whole_file() { return read_file(kFolder + "/tokenizer.json"); }

// tokenizer.json with the value at a JSON pointer replaced.
std::string with(const std::string& pointer, const json& value) {
  auto file = json::parse(whole_file());
  file[json::json_pointer(pointer)] = value;
  return file.dump();
}

std::string without(const std::string& parent, const std::string& key) {
  auto file = json::parse(whole_file());
  file[json::json_pointer(parent)].erase(key);
  return file.dump();
}

void expect_refused(const std::string& bytes, const std::string& what) {
  const auto message = testing::message_of([&] { parse_bpe(bytes, "some/tokenizer.json"); });
  EXPECT_EQ(message.find("'some/tokenizer.json'"), 0U) << message;
  EXPECT_NE(message.find(what), std::string::npos) << message << "\nshould say: " << what;
  EXPECT_NE(message.find("\nhint: "), std::string::npos) << message;
}

json added(const std::string& content, const json& id) { return {{"id", id}, {"content", content}}; }

TEST(BpeBroken, OtherKindsOfTokenizersAreNamed) {
  expect_refused(with("/model/type", "WordPiece"), "model is of type WordPiece");
  expect_refused(with("/model/type", "Unigram"), "model is of type Unigram");
  expect_refused(with("/model/end_of_word_suffix", "</w>"), "model.end_of_word_suffix is '</w>'");
  expect_refused(with("/model/continuing_subword_prefix", "##"), "model.continuing_subword_prefix is '##'");
  expect_refused(with("/model/dropout", 0.1), "model.dropout is 0.1");
  expect_refused(with("/normalizer", {{"type", "Lowercase"}}), "normalizer is of type Lowercase");
  expect_refused(with("/pre_tokenizer", nullptr), "pre_tokenizer is of type null");
  expect_refused(with("/pre_tokenizer", {{"type", "Metaspace"}}), "pre_tokenizer is of type Metaspace");
  expect_refused(with("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", json::array()}}), "no ByteLevel at its end");
  expect_refused(with("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {{{"type", "Digits"}}}}}),
                 "pre_tokenizer.pretokenizers[0] is of type Digits");
  expect_refused(with("/decoder", {{"type", "Metaspace"}}), "decoder is of type Metaspace");
  const auto split = [](const json& pattern, const std::string& behavior) {
    return json{{"type", "Sequence"},
                {"pretokenizers", {{{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}, {"invert", false}}}}};
  };
  expect_refused(with("/pre_tokenizer", split({{"Regex", "[a-z]+"}}, "Isolated")), "pattern.Regex is unknown: [a-z]+");
  expect_refused(with("/pre_tokenizer", split({{"String", " "}}, "Isolated")), "pattern is not a regular expression");
  const std::string gpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  expect_refused(with("/pre_tokenizer", split({{"Regex", gpt2}}, "Removed")), "does not keep what it finds apart");
  expect_refused(with("/pre_tokenizer", split({{"Regex", gpt2}}, "Isolated")), "no ByteLevel at its end");
}

TEST(BpeBroken, WhatIsNoTokenizerJson) {
  expect_refused("", "is not JSON");
  expect_refused("{\"model\": ", "is not JSON");
  expect_refused("[]", "no tokenizer.json");
  expect_refused("{}", "no tokenizer.json");
  expect_refused(R"({"model": 3})", "model is not an object");
  expect_refused(read_file(kFolder + "/vocab.json"), "it has no model");
  expect_refused(testing::nested(100'000), "nested too deeply");
  expect_refused("{\"model\": {\"dropout\": " + testing::nested(100'000) + "}}", "nested too deeply");
}

TEST(BpeBroken, Ids) {
  expect_refused(with("/model/vocab/a", 66), "is the id 66, and so is that of '");
  expect_refused(with("/model/vocab/a", 512), "model.vocab.a is the id 512, there are 512 tokens");
  expect_refused(with("/model/vocab/new", 600), "model.vocab.new is the id 600, there are 513 tokens");
  expect_refused(with("/model/vocab/a", -1), "model.vocab.a is the id -1");
  expect_refused(with("/model/vocab/a", UINT64_MAX), "model.vocab.a is the id 18446744073709551615");
  expect_refused(with("/model/vocab/a", 3.5), "model.vocab.a is not an integer");
  expect_refused(with("/model/vocab/a", "65"), "model.vocab.a is not an integer");
  expect_refused(with("/model/vocab/a", nullptr), "model.vocab.a is missing");
  expect_refused(with("/model/vocab", json::array()), "model.vocab is not an object");
  expect_refused(with("/model/vocab", json::object()), "model.vocab has no token for the byte 0");
  expect_refused(without("/model", "vocab"), "model.vocab is missing");
  auto vocab = json::parse(whole_file())["model"]["vocab"];
  vocab["new"] = vocab["a"];
  vocab.erase("a");
  expect_refused(with("/model/vocab", vocab), "no token for the byte 97, 'a'");
}

TEST(BpeBroken, Merges) {
  expect_refused(with("/model/merges", nullptr), "model.merges is missing");
  expect_refused(with("/model/merges", "a b"), "model.merges is not an array");
  expect_refused(with("/model/merges/3", "ab"), "model.merges[3] is 'ab', not two tokens");
  expect_refused(with("/model/merges/3", "a b c"), "model.merges[3] is 'a b c', not two tokens");
  expect_refused(with("/model/merges/3", {"a", "b", "c"}), "model.merges[3] is not a pair");
  expect_refused(with("/model/merges/3", {"a", 1}), "model.merges[3][1] is not a string");
  expect_refused(with("/model/merges/3", 17), "model.merges[3] is not a string");
  expect_refused(with("/model/merges/3", {"nowhere", "a"}), "model.merges[3] names 'nowhere', which is not in the vocabulary");
  expect_refused(with("/model/merges/3", {"~", "~"}), "model.merges[3] names '~~'");
}

TEST(BpeBroken, AddedTokens) {
  expect_refused(with("/added_tokens", 3), "added_tokens is not an array");
  expect_refused(with("/added_tokens/0/content", ""), "added_tokens[0] is empty");
  expect_refused(with("/added_tokens/0/content", 1), "added_tokens[0].content is not a string");
  expect_refused(with("/added_tokens/0/id", 7), "added_tokens[0].id of '<|endoftext|>' is 7, by its place it has to be 0");
  expect_refused(with("/added_tokens/0/lstrip", "yes"), "added_tokens[0].lstrip is not true or false");
  expect_refused(with("/added_tokens/0/single_word", true), "added_tokens[0].single_word is not supported");
  expect_refused(with("/added_tokens", json::array({added("<a>", 513)})), "is 513, by its place it has to be 512");
  expect_refused(with("/added_tokens", json::array({added("<a>", 512), added("<b>", 512)})),
                 "is 512, by its place it has to be 513");
  expect_refused(with("/added_tokens", json::array({added("<a>", 512), added("<a>", 513)})),
                 "added_tokens[1] is '<a>' once more");
  expect_refused(with("/added_tokens", json::array({added("<a>", 4'000'000'000U)})), "added_tokens[0].id is the id 4000000000");
}

// Bytes cut off or changed anywhere: an Error or a tokenizer that encodes, and no exception of another library.
TEST(BpeBroken, DamagedFilesAreErrorsNotCrashes) {
  const auto file = json::parse(whole_file()).dump();
  Random random(hash_key(42));
  int num_refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string damaged = file;
    if (round % 3 == 0) damaged.resize(static_cast<size_t>(random.below(static_cast<int64_t>(file.size()))));
    else
      for (int n = 0; n < 3; ++n)
        damaged[static_cast<size_t>(random.below(static_cast<int64_t>(damaged.size())))] = "0\"[]{},:a9"[random.below(10)];
    try {
      const auto tokenizer = parse_bpe(damaged, "damaged");
      tokenizer->decode(tokenizer->encode("go to the red ball<|endoftext|> \u00e9"));
    } catch (const Error&) {
      ++num_refused;
    }
  }
  EXPECT_GT(num_refused, 200);
}

TEST(BpeBroken, ThePairOfFiles) {
  const TemporaryFolder folder;
  const auto path = folder.path().string();
  const auto message = [&] { return testing::message_of([&] { load_bpe(path + "/vocab.json"); }); };
  const auto says = [&](const std::string& what) {
    const auto text = message();
    EXPECT_NE(text.find(what), std::string::npos) << text << "\nshould say: " << what;
  };
  says("cannot read '" + path + "/vocab.json'");
  write_file_atomically(folder / "vocab.json", read_file(kFolder + "/vocab.json"));
  says("cannot read '" + path + "/merges.txt'");
  write_file_atomically(folder / "merges.txt", "#version: 0.2\na b\n");
  says("model.merges[0] names 'ab', which is not in the vocabulary");
  write_file_atomically(folder / "merges.txt", "#version: 0.2\r\nr e\r\n\r\n");
  says("model.merges[1] is '', not two tokens");
  write_file_atomically(folder / "merges.txt", "t \xff\n");
  says("merges.txt' is not UTF-8");
  write_file_atomically(folder / "merges.txt", "#version: 0.2\r\nr e\r\n");
  EXPECT_EQ(load_bpe(path)->encode("re").size(), 1U);
  write_file_atomically(folder / "vocab.json", "[1]");
  says("model.vocab is not an object");
  write_file_atomically(folder / "vocab.json", "{\"a\": ");
  says("vocab.json' is not JSON");
}

}  // namespace
}  // namespace mugato::text
