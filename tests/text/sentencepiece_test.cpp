#include "mugato/text/sentencepiece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "mugato/core/error.h"
#include "mugato/core/random.h"

namespace mugato::text {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

const std::string kFolder = std::string(MUGATO_FIXTURES) + "/sentencepiece";
const std::string kModel = kFolder + "/unigram.model";

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  TORCH_CHECK(file.is_open(), "cannot read ", path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Written by the sentencepiece package of Python: texts with their ids, pieces and decoding.
nlohmann::json expected() { return nlohmann::json::parse(bytes_of(kFolder + "/unigram_cases.json")); }

TEST(SentencePiece, ReproducesEveryCaseOfThePackage) {
  const auto tokenizer = load_sentencepiece(kModel);
  const nlohmann::json reference = expected();
  EXPECT_EQ(tokenizer->size(), reference["vocab_size"].get<int64_t>());
  ASSERT_EQ(reference["cases"].size(), 200u);
  for (const nlohmann::json& sample : reference["cases"]) {
    const std::string text = sample["text"].get<std::string>();
    const std::vector<int32_t> ids = tokenizer->encode(text);
    ASSERT_EQ(ids, sample["ids"].get<std::vector<int32_t>>()) << text;
    std::vector<std::string> pieces;
    for (const int32_t id : ids) pieces.push_back(tokenizer->piece(id));
    ASSERT_EQ(pieces, sample["pieces"].get<std::vector<std::string>>()) << text;
    ASSERT_EQ(tokenizer->decode(ids), sample["decoded"].get<std::string>()) << text;
  }
}

TEST(SentencePiece, EmptyTextAndNoIds) {
  const auto tokenizer = load_sentencepiece(kModel);
  EXPECT_TRUE(tokenizer->encode("").empty());
  EXPECT_TRUE(tokenizer->encode(std::string_view()).empty());
  EXPECT_EQ(tokenizer->decode({}), "");
}

// Whatever bytes come in, broken UTF-8 included, ids are in range and decode.
TEST(SentencePiece, AnyBytesGiveIdsInRange) {
  const auto tokenizer = load_sentencepiece(kModel);
  Random random(hash_key(31));
  for (int round = 0; round < 500; ++round) {
    std::string text(static_cast<size_t>(random.between(1, 40)), ' ');
    for (char& c : text) c = static_cast<char>(random.below(256));
    const std::vector<int32_t> ids = tokenizer->encode(text);
    for (const int32_t id : ids) ASSERT_TRUE(id >= 0 && id < tokenizer->size());
    ASSERT_EQ(tokenizer->encode(text), ids);
    ASSERT_NO_THROW(tokenizer->decode(ids));
  }
}

// The model turns runs of spaces into one and leaves other ASCII alone, so words with single spaces come back as they were.
TEST(SentencePiece, WordsComeBackExactly) {
  const auto tokenizer = load_sentencepiece(kModel);
  Random random(hash_key(33));
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (int64_t word = random.between(1, 8); word > 0; --word) {
      if (!text.empty()) text += ' ';
      for (int64_t n = random.between(1, 9); n > 0; --n) text += static_cast<char>(random.between('!', '~'));
    }
    ASSERT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  }
}

TEST(SentencePiece, EveryIdHasAPiece) {
  const auto tokenizer = load_sentencepiece(kModel);
  EXPECT_EQ(tokenizer->piece(0), "<unk>");
  EXPECT_EQ(tokenizer->piece(1), "<s>");
  EXPECT_EQ(tokenizer->piece(2), "</s>");
  for (int32_t id = 0; id < tokenizer->size(); ++id) EXPECT_FALSE(tokenizer->piece(id).empty()) << id;
}

TEST(SentencePiece, SerializedBytesAreTheFileAndLoadAgain) {
  const auto tokenizer = load_sentencepiece(kModel);
  EXPECT_EQ(tokenizer->serialized(), bytes_of(kModel));
  const auto again = parse_sentencepiece(tokenizer->serialized(), "checkpoint");
  const std::string text = "go to the red ball, then open the door";
  EXPECT_EQ(again->encode(text), tokenizer->encode(text));
  EXPECT_EQ(again->size(), tokenizer->size());
}

TEST(SentencePiece, MissingFileIsNamed) {
  for (const std::string& path : {kFolder + "/no_such.model", kFolder})
    EXPECT_THAT([&] { load_sentencepiece(path); },
                ThrowsMessage<Error>(AllOf(HasSubstr("cannot read"), HasSubstr(path), HasSubstr("\nhint: "))));
}

TEST(SentencePiece, WhatIsNotAModelIsNamed) {
  const auto says = [](const std::string& origin) {
    return ThrowsMessage<Error>(
        AllOf(HasSubstr("'" + origin + "'"), HasSubstr("not a SentencePiece model"), HasSubstr("\nhint: ")));
  };
  EXPECT_THAT([] { load_sentencepiece(kFolder + "/unigram_cases.json"); }, says(kFolder + "/unigram_cases.json"));
  const std::string model = bytes_of(kModel);
  const std::string inputs[] = {"", "text", std::string(1000, '\0'), "\xff\xff\xff", model.substr(0, model.size() / 2)};
  for (const std::string& bytes : inputs) EXPECT_THAT([&] { parse_sentencepiece(bytes, "memory"); }, says("memory"));
}

// Random damage ends in a tokenizer or in an Error, never in a crash or an exception of another library.
TEST(SentencePiece, DamagedModelsAreErrorsNotCrashes) {
  const std::string model = bytes_of(kModel);
  Random random(hash_key(32));
  int num_refused = 0;
  for (int round = 0; round < 40; ++round) {
    std::string damaged = model.substr(0, static_cast<size_t>(random.below(static_cast<int64_t>(model.size()))));
    try {
      EXPECT_GT(parse_sentencepiece(damaged, "damaged")->size(), 0);
    } catch (const Error&) {
      ++num_refused;
    }
  }
  EXPECT_GT(num_refused, 20);
}

// M3, M4: ids of other ranges (bins, actions, separator) decoded silently as text.
TEST(SentencePiece, AnIdOutOfRangeIsAnErrorThatNamesItAndItsIndex) {
  const auto tokenizer = load_sentencepiece(kModel);
  const int32_t size = static_cast<int32_t>(tokenizer->size());
  for (const int32_t id : {-1, size, size + 1024, INT32_MAX, INT32_MIN}) {
    EXPECT_THAT(
        [&] {
          tokenizer->decode({5, 6, id});
        },
        ThrowsMessage<Error>(AllOf(HasSubstr("text id " + std::to_string(id)), HasSubstr("index 2"),
                                   HasSubstr("[0, " + std::to_string(size) + ")"), HasSubstr("\nhint: "))));
    EXPECT_THAT([&] { tokenizer->piece(id); }, ThrowsMessage<Error>(HasSubstr("text id " + std::to_string(id))));
  }
}

TEST(SentencePiece, SeveralThreadsEncodeWithOneTokenizer) {
  const auto tokenizer = load_sentencepiece(kModel);
  const nlohmann::json reference = expected();
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> ids;
  for (const nlohmann::json& sample : reference["cases"]) {
    texts.push_back(sample["text"].get<std::string>());
    ids.push_back(sample["ids"].get<std::vector<int32_t>>());
  }
  constexpr size_t kNumThreads = 8;
  std::vector<int> num_wrong(kNumThreads, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kNumThreads; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 5; ++round)
        for (size_t i = 0; i < texts.size(); ++i) {
          const size_t k = (i + t * 31) % texts.size();
          num_wrong[t] += tokenizer->encode(texts[k]) != ids[k];
          num_wrong[t] += tokenizer->decode(ids[k]).empty() != reference["cases"][k]["decoded"].get<std::string>().empty();
        }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_wrong, std::vector<int>(kNumThreads, 0));
}

// LibTorch exports protobuf symbols of its own; both libraries work in one program, in either order.
TEST(SentencePiece, LivesInOneProgramWithLibTorch) {
  const at::Tensor before = at::ones({3, 3}).mm(at::ones({3, 3}));
  const auto tokenizer = load_sentencepiece(kModel);
  const std::vector<int32_t> ids = tokenizer->encode("put the blue ball next to the grey ball");
  const at::Tensor after = at::embedding(at::ones({tokenizer->size(), 4}), at::tensor(ids));
  EXPECT_EQ(before.sum().item<float>(), 27.0f);
  EXPECT_EQ(after.sum().item<float>(), 4.0f * static_cast<float>(ids.size()));
}

// Text of one timestep is (E,T,C) = (1,T,1), one id a token. Run with: ctest -L shapes
TEST(ShapesSentencePiece, AMissionIsOneIdAToken) {
  const auto tokenizer = load_sentencepiece(kModel);
  const std::vector<int32_t> ids = tokenizer->encode("go to the red ball");
  const at::Tensor tokens = at::tensor(ids).view({1, -1, 1});
  EXPECT_EQ(tokens.sizes(), std::vector<int64_t>({1, static_cast<int64_t>(ids.size()), 1}));
  EXPECT_EQ(tokenizer->decode(ids), "go to the red ball");
}

}  // namespace
}  // namespace mugato::text
