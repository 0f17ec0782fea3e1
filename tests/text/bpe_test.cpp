#include "mugato/text/bpe.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "message_of.h"
#include "mugato/core/files.h"
#include "mugato/core/random.h"
#include "temporary_folder.h"

namespace mugato::text {
namespace {

using nlohmann::json;
using testing::TemporaryFolder;

const std::string kFolder = std::string(MUGATO_FIXTURES) + "/bpe";

json read_json(const std::string& name) { return json::parse(read_file(kFolder + "/" + name)); }

// By name: a patch of tokenizer.json, cases and decodings.
std::map<std::string, json> variants() { return read_json("random_cases.json"); }

std::vector<json> cases() { return read_json("cases.json")["cases"]; }

// tokenizer.json with a merge patch applied.
std::unique_ptr<TextTokenizer> patched(const json& patch) {
  auto file = read_json("tokenizer.json");
  file.merge_patch(patch);
  return parse_bpe(file.dump(), "patched");
}

TEST(Bpe, ReproducesEveryCaseOfThePackageFromBothFormats) {
  const auto reference = read_json("cases.json");
  ASSERT_EQ(reference["cases"].size(), 200U);
  for (const auto* path : {"/tokenizer.json", "/vocab.json"}) {
    const auto tokenizer = load_bpe(kFolder + path);
    EXPECT_EQ(tokenizer->size(), reference["vocab_size"]);
    for (const auto& sample : reference["cases"]) {
      const std::string text = sample["text"];
      const auto ids = tokenizer->encode(text);
      ASSERT_EQ(ids, sample["ids"].get<std::vector<int32_t>>()) << path << ": " << text;
      std::vector<std::string> pieces;
      for (const int32_t id : ids) pieces.push_back(tokenizer->piece(id));
      ASSERT_EQ(pieces, sample["tokens"].get<std::vector<std::string>>()) << path << ": " << text;
      ASSERT_EQ(tokenizer->decode(ids), sample["decoded"].get<std::string>()) << path << ": " << text;
    }
  }
}

// Every pre-tokenizer, NFC and added tokens of all kinds, on characters of all planes.
TEST(Bpe, GivesTheIdsOfThePackageForRandomUnicode) {
  int64_t num_cases = 0;
  for (const auto& [name, variant] : variants()) {
    const auto tokenizer = patched(variant["patch"]);
    for (const auto& sample : variant["cases"]) {
      const std::string text = sample[0];
      ASSERT_EQ(tokenizer->encode(text), sample[1].get<std::vector<int32_t>>())
          << name << ": " << json(text).dump(-1, ' ', true);
      ++num_cases;
    }
    for (const auto& sample : variant["decoded"])
      ASSERT_EQ(tokenizer->decode(sample[0]), sample[1].get<std::string>()) << name << ": " << sample[0];
  }
  EXPECT_GT(num_cases, 700);
}

TEST(Bpe, AFolderIsItsTokenizerJsonOrItsPairOfFiles) {
  const TemporaryFolder folder;
  for (const char* name : {"vocab.json", "merges.txt"}) write_file_atomically(folder / name, read_file(kFolder + "/" + name));
  const auto pair = load_bpe(folder.path().string());
  const auto whole = load_bpe(kFolder);
  EXPECT_EQ(pair->encode("go to the red ball<|endoftext|>"), whole->encode("go to the red ball<|endoftext|>"));
  EXPECT_EQ(pair->encode("<|endoftext|>"), std::vector<int32_t>{0});
}

TEST(Bpe, WhatIsSerializedLoadsToTheSameIds) {
  EXPECT_EQ(load_bpe(kFolder)->serialized(), read_file(kFolder + "/tokenizer.json"));
  for (const auto* path : {"/tokenizer.json", "/vocab.json"}) {
    const auto tokenizer = load_bpe(kFolder + path);
    const auto again = parse_bpe(tokenizer->serialized(), "checkpoint");
    EXPECT_EQ(again->serialized(), tokenizer->serialized());
    EXPECT_EQ(again->size(), tokenizer->size());
    for (const auto& sample : cases())
      ASSERT_EQ(again->encode(sample["text"].get<std::string>()), sample["ids"].get<std::vector<int32_t>>());
  }
}

std::string random_bytes(Random& random, int64_t most) {
  std::string text(static_cast<size_t>(random.between(1, most)), ' ');
  for (char& c : text) c = static_cast<char>(random.chance(0.5) ? random.between(' ', '~') : random.below(256));
  return text;
}

// A broken character is one U+FFFD, as decoders of the web have it.
TEST(Bpe, BytesThatAreNoUtf8AreSymbolsAndDecodeToReplacements) {
  const auto tokenizer = load_bpe(kFolder);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a\xff\xfe b", "a\uFFFD\uFFFD b"},
      {"\xe2\x82", "\uFFFD"},
      {"\xe2\x82(", "\uFFFD("},
      {"\xf0\x80\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xc0\xaf", "\uFFFD\uFFFD"},
      {"\xf4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"x\xf0\x9f\xa4", "x\uFFFD"},
  };
  for (const auto& [text, decoded] : cases) EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), decoded);
  // Each byte's token is one character: the tokens of a text, read so, are its bytes.
  std::map<std::string, char> byte_of;
  for (int byte = 0; byte < 256; ++byte) {
    const auto ids = tokenizer->encode(std::string(1, static_cast<char>(byte)));
    ASSERT_EQ(ids.size(), 1U);
    byte_of[tokenizer->piece(ids[0])] = static_cast<char>(byte);
  }
  Random random(hash_key(41));
  for (int round = 0; round < 500; ++round) {
    const auto text = random_bytes(random, 60);
    std::string pieces, bytes;
    for (const int32_t id : tokenizer->encode(text)) pieces += tokenizer->piece(id);
    for (size_t at = 0, length; at < pieces.size(); at += length) {
      length = static_cast<uint8_t>(pieces[at]) < 0x80 ? 1 : 2;
      bytes += byte_of.at(pieces.substr(at, length));
    }
    ASSERT_EQ(bytes, text);
    ASSERT_NO_THROW(json(tokenizer->decode(tokenizer->encode(text))).dump());
  }
}

TEST(Bpe, ValidTextComesBackExactly) {
  for (const auto& [name, variant] : variants()) {
    if (name.find("nfc") != std::string::npos || name == "qwen2" || name == "added" || name == "prefix_space" ||
        name == "split_twice")
      continue;  // they change the text
    const auto tokenizer = patched(variant["patch"]);
    for (const auto& sample : variant["cases"])
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(sample[0].get<std::string>())), sample[0].get<std::string>()) << name;
  }
}

// The plain algorithm: look for the best pair of the whole word, merge it, look again.
std::vector<int32_t> plain_merges(std::vector<int32_t> word,
                                  const std::map<std::pair<int32_t, int32_t>, std::pair<int, int32_t>>& merges) {
  while (true) {
    size_t best = 0;
    int best_rank = INT32_MAX;
    for (size_t i = 0; i + 1 < word.size(); ++i)
      if (const auto found = merges.find({word[i], word[i + 1]}); found != merges.end() && found->second.first < best_rank) {
        best = i;
        best_rank = found->second.first;
      }
    if (best_rank == INT32_MAX) return word;
    word[best] = merges.at({word[best], word[best + 1]}).second;
    word.erase(word.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

// Random vocabularies over two letters have ranks in every order, and long words in them many ties.
TEST(Bpe, MergesAsThePlainAlgorithmDoes) {
  const auto base = read_json("tokenizer.json");
  const std::map<std::string, int32_t> base_vocab = base["model"]["vocab"];
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(hash_key(43, seed));
    json vocab, merges = json::array();
    std::vector<std::string> tokens = {"a", "b"};
    std::map<std::string, int32_t> ids;
    for (const auto& [token, id] : base_vocab)
      if (id <= 256) vocab[token] = ids[token] = id;
    std::map<std::pair<int32_t, int32_t>, std::pair<int, int32_t>> ranks;
    for (int rank = 0; rank < 30;) {
      const auto pick = [&] { return tokens[static_cast<size_t>(random.below(static_cast<int64_t>(tokens.size())))]; };
      const auto left = pick(), right = pick();
      if (ranks.contains({ids[left], ids[right]})) continue;
      if (ids.emplace(left + right, 257 + static_cast<int32_t>(tokens.size()) - 2).second) tokens.push_back(left + right);
      vocab[left + right] = ids[left + right];
      merges.push_back({left, right});
      ranks[{ids[left], ids[right]}] = {rank++, ids[left + right]};
    }
    auto file = base;
    file["model"]["vocab"] = vocab;
    file["model"]["merges"] = merges;
    const auto tokenizer = parse_bpe(file.dump(), "random");
    for (int round = 0; round < 50; ++round) {
      std::string text(static_cast<size_t>(random.between(1, 60)), 'a');
      std::vector<int32_t> word;
      for (char& c : text) {
        if (random.chance(0.3)) c = 'b';
        word.push_back(ids[std::string(1, c)]);
      }
      ASSERT_EQ(tokenizer->encode(text), plain_merges(word, ranks)) << text;
    }
  }
}

TEST(Bpe, OneLongWordIsNotQuadratic) {
  const auto tokenizer = load_bpe(kFolder);
  const auto start = std::chrono::steady_clock::now();
  const std::string word(1'000'000, 'e');
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(word)), word);
  EXPECT_EQ(tokenizer->encode(std::string(1'000'000, ' ')).size(), 1'000'000U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Bpe, EmptyTextAndNoIds) {
  for (const json& patch : {json::object(), json{{"pre_tokenizer", {{"add_prefix_space", true}}}}}) {
    EXPECT_TRUE(patched(patch)->encode("").empty());
    EXPECT_EQ(patched(patch)->decode({}), "");
  }
}

TEST(Bpe, AnIdOutOfRangeIsAnErrorThatNamesItAndItsIndex) {
  const auto tokenizer = load_bpe(kFolder);
  for (const int32_t id : {-1, 512, INT32_MAX, INT32_MIN}) {
    const auto message = testing::message_of([&] { tokenizer->decode({5, 6, id}); });
    EXPECT_EQ(message.find("text id " + std::to_string(id) + " at index 2 is not in [0, 512) of"), 0U) << message;
    EXPECT_NE(testing::message_of([&] { tokenizer->piece(id); }).find("text id"), std::string::npos);
  }
}

TEST(Bpe, SeveralThreadsEncodeWithOneTokenizer) {
  const auto tokenizer = load_bpe(kFolder);
  const auto samples = cases();
  std::vector<int> num_wrong(8, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < num_wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < samples.size(); ++i) {
        const auto& sample = samples[(i + t * 31) % samples.size()];
        num_wrong[t] += tokenizer->encode(sample["text"].get<std::string>()) != sample["ids"].get<std::vector<int32_t>>();
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(num_wrong, std::vector<int>(8, 0));
}

}  // namespace
}  // namespace mugato::text
