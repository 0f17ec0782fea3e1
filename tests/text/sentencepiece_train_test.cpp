#include <gtest/gtest.h>

#include <set>

#include "message_of.h"
#include "mugato/core/random.h"
#include "mugato/text/sentencepiece.h"

namespace mugato::text {
namespace {

using testing::message_of;

TextStream stream(std::vector<std::string> texts) {
  return [texts = std::move(texts), next = size_t{0}]() mutable {
    return next < texts.size() ? std::optional(texts[next++]) : std::nullopt;
  };
}

std::vector<std::string> sentences(int64_t count, uint64_t seed = 0) {
  std::vector<std::string> words = {"go", "to", "the", "red", "green", "ball", "box", "door", "opening", "walked", "42"};
  Random letters(hash_key(50));
  while (words.size() < 100) {
    std::string word(static_cast<size_t>(letters.between(2, 8)), ' ');
    for (char& c : word) c = static_cast<char>('a' + letters.below(26));
    words.push_back(word);
  }
  std::vector<std::string> all;
  for (int64_t i = 0; i < count; ++i) {
    Random random(hash_key(51, seed, i));
    std::string text = "go to the ball";
    for (int64_t n = random.between(3, 9); n > 0; --n)
      text += " " + words[static_cast<size_t>(random.below(static_cast<int64_t>(words.size())))];
    all.push_back(text);
  }
  return all;
}

SentencePieceOptions options(int64_t vocab_size, const std::string& type = "unigram") {
  return {.vocab_size = vocab_size, .model_type = type};
}

std::unique_ptr<TextTokenizer> trained(const std::vector<std::string>& texts, const SentencePieceOptions& choice) {
  return parse_sentencepiece(train_sentencepiece(stream(texts), choice), "trained");
}

TEST(SentencePieceTraining, BothTypesLearnTheWords) {
  for (const char* type : {"unigram", "bpe"}) {
    const auto tokenizer = trained(sentences(2000), options(300, type));
    EXPECT_EQ(tokenizer->size(), 300);
    EXPECT_LE(tokenizer->encode("go to the red ball").size(), 8U) << type;
    std::set<std::string> pieces;
    for (int32_t id = 0; id < 300; ++id) pieces.insert(tokenizer->piece(id));
    for (const char* piece : {"\u2581the", "\u2581ball", "<0x00>", "<0xFF>", "<unk>"})
      EXPECT_TRUE(pieces.contains(piece)) << piece;
    EXPECT_FALSE(pieces.contains("<s>")) << "document ends are ids of the Vocabulary";
  }
}

TEST(SentencePieceTraining, TheSameTextsGiveTheSameModel) {
  for (const char* type : {"unigram", "bpe"}) {
    const auto train = [&](uint64_t seed) { return train_sentencepiece(stream(sentences(3000, seed)), options(320, type)); };
    EXPECT_EQ(train(0), train(0));
    EXPECT_NE(train(0), train(1));
    auto few = options(290, type);
    few.at_most = true;
    few.input_sentence_size = 200;
    EXPECT_EQ(train_sentencepiece(stream(sentences(3000)), few), train_sentencepiece(stream(sentences(3000)), few));
  }
}

TEST(SentencePieceTraining, AnyTextDecodesToItself) {
  auto texts = sentences(1000);
  texts.emplace_back("  two  spaces\nand lines\n\n");
  const auto tokenizer = trained(texts, options(310));
  for (const std::string text : {"go to the ball", " two  spaces ", "caf\u00e9 \U0001f916\n\ttab", "UPPER 123", "\u2585"})
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
}

// What the trainer would leave out without a word: long texts, and texts with its mark of the unknown.
TEST(SentencePieceTraining, LongAndOddTextsAreTrainedOn) {
  std::string document;
  for (const auto& sentence : sentences(500))
    document += sentence + (document.size() % 2 == 0 ? " xylophone " : " xylophone\n");
  const auto has = [](const TextTokenizer& tokenizer, const std::string& piece) {
    for (int32_t id = 0; id < tokenizer.size(); ++id)
      if (tokenizer.piece(id) == piece) return true;
    return false;
  };
  EXPECT_TRUE(has(*trained({document}, options(310)), "\u2581xylophone"));
  for (const std::string& mark : std::vector<std::string>{"\u2585", "\t", std::string(1, '\0')})
    EXPECT_TRUE(has(*trained({mark + document + mark}, options(310)), "\u2581xylophone"));
  auto short_parts = options(310);
  short_parts.max_sentence_bytes = 16;
  const auto tokenizer =
      trained({document + std::string(1000, 'a') + "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"}, short_parts);
  EXPECT_FALSE(has(*tokenizer, "\uFFFD")) << "a character was cut in two";
}

TEST(SentencePieceTraining, TheTextsAreReadOnceAndNotKept) {
  int64_t asked = 0;
  const TextStream endless = [&]() -> std::optional<std::string> {
    return ++asked > 50'000 ? std::nullopt : std::optional("text number " + std::to_string(asked));
  };
  auto few = options(290);
  few.input_sentence_size = 1000;
  few.at_most = true;
  train_sentencepiece(endless, few);
  EXPECT_EQ(asked, 50'001);
}

TEST(SentencePieceTraining, AtMostTakesFewerPiecesWhenThereAreNoMore) {
  auto choice = options(5000);
  choice.at_most = true;
  const auto tokenizer = trained(sentences(200), choice);
  EXPECT_GT(tokenizer->size(), 257);
  EXPECT_LT(tokenizer->size(), 1000);
}

TEST(SentencePieceTraining, WhatCanNotBeTrainedIsSaid) {
  const auto message = [](const std::vector<std::string>& texts, const SentencePieceOptions& choice) {
    return message_of([&] { train_sentencepiece(stream(texts), choice); });
  };
  const auto says = [](const std::string& text, const std::string& what) {
    EXPECT_NE(text.find(what), std::string::npos) << text;
    EXPECT_NE(text.find("\nhint: "), std::string::npos) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  };
  says(message({}, options(300)), "no text to train a tokenizer on");
  says(message({"", "\t", "\u2585"}, options(300)), "no text to train a tokenizer on");
  says(message(sentences(100), options(5000)), "could not train a tokenizer of 5000 pieces: Vocabulary size too high (5000)");
  says(message(sentences(100), options(260)), "could not train a tokenizer of 260 pieces: Vocabulary size is smaller");
  says(message(sentences(100), options(0)), "a text tokenizer of 0 pieces");
  says(message(sentences(100), options(300, "wordpiece")), "unknown type 'wordpiece'");
  auto choice = options(300);
  choice.input_sentence_size = 100;
  says(message(sentences(100), choice), "only 100 sentences");
  choice = options(300);
  choice.character_coverage = 0.5;
  says(message(sentences(100), choice), "character coverage of 0.5");
}

// The library ends the program where a check of its own fails: no text may get it there.
TEST(SentencePieceTraining, OddTextsAreErrorsNotCrashes) {
  Random random(hash_key(52));
  const std::vector<std::string> odd = {" ",
                                        "    ",
                                        "\n",
                                        "a",
                                        "\xff\xfe",
                                        std::string(3, '\0') + "a",
                                        std::string(5000, 'a'),
                                        std::string(5000, ' '),
                                        "\u2581",
                                        "\u2581\u2581 \u2581",
                                        "<unk>",
                                        "<0x41> <s>"};
  for (const char* type : {"unigram", "bpe"}) {
    auto choice = options(400, type);
    choice.at_most = true;
    const auto try_it = [&](const std::vector<std::string>& texts) {
      try {
        const auto tokenizer = trained(texts, choice);
        for (const auto& text : texts) tokenizer->decode(tokenizer->encode(text));
      } catch (const Error&) {
      }
    };
    for (const auto& text : odd) try_it({text});
    try_it(odd);
    for (int round = 0; round < 10; ++round) {
      std::vector<std::string> texts(static_cast<size_t>(random.between(1, 20)));
      for (auto& text : texts) {
        text.resize(static_cast<size_t>(random.below(60)));
        for (char& c : text) c = static_cast<char>(random.below(256));
      }
      try_it(texts);
    }
  }
}

}  // namespace
}  // namespace mugato::text
