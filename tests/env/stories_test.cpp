#include "mugato/env/stories.h"

#include <gtest/gtest.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <unordered_map>

#include "mugato/core/random.h"

namespace mugato::env {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " in " << text;
  return text.replace(at, from.size(), to);
}

TEST(Stories, AreAFunctionOfTheSeed) {
  const Stories one, other;
  std::set<std::string> texts;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    EXPECT_EQ(one.tell(seed).text, other.tell(seed).text);
    EXPECT_EQ(one.tell(seed).log_probability, other.tell(seed).log_probability);
    texts.insert(one.tell(seed).text);
  }
  EXPECT_GT(texts.size(), 195U);
}

TEST(Stories, AreShortTextsOfFewWords) {
  const Stories stories;
  const auto vocabulary = stories.vocabulary();
  EXPECT_LT(vocabulary.size(), 120U);
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    const auto text = stories.tell(seed).text;
    EXPECT_EQ(text.find_first_not_of("abcdefghijklmnopqrstuvwxyz ."), std::string::npos) << text;
    EXPECT_EQ(text.find("  "), std::string::npos) << text;
    EXPECT_EQ(text.find(" ."), std::string::npos) << text;
    EXPECT_EQ(text.back(), '.');
    const auto words = words_of(text);
    EXPECT_GE(words.size(), 20U) << text;
    EXPECT_LE(words.size(), 45U) << text;
    const auto num_sentences = std::count(text.begin(), text.end(), '.');
    EXPECT_GE(num_sentences, 2);
    EXPECT_LE(num_sentences, 4);
    for (const auto& word : words) seen.insert(word.substr(0, word.find('.')));
  }
  EXPECT_EQ(std::vector<std::string>(seen.begin(), seen.end()), vocabulary);
}

TEST(Stories, ParserAgreesWithTheGenerator) {
  const Stories stories;
  for (uint64_t seed = 0; seed < 20'000; ++seed) {
    const auto story = stories.tell(seed);
    ASSERT_NEAR(stories.log_probability(story.text), story.log_probability, 1e-9) << story.text;
    ASSERT_EQ(stories.num_derivations(story.text), 1) << story.text;
  }
}

// The product of the weights of all choices, in the order of the text.
TEST(Stories, ProbabilityOfOneStoryByHand) {
  const double expected = std::log(0.35 * 0.22 * 0.30 * 0.19 * 0.24 * 0.34 * 0.45 *  // opening: form, who ... time
                                   0.45 * 0.24 * 0.25 *                              // meeting: form, size, animal
                                   0.30 * 0.20);                                     // turn: a gift, no thanks
  EXPECT_NEAR(
      Stories().log_probability("mia took a red ball to the park on a sunny day. there she met a big dog who wanted the "
                                "ball. she gave the red ball to the dog."),
      expected, 1e-12);
}

TEST(Stories, EntropyIsTheMeanSurprise) {
  const Stories stories;
  constexpr int kNumStories = 20'000;
  double sum = 0.0, sum_of_squares = 0.0;
  for (uint64_t seed = 0; seed < kNumStories; ++seed) {
    const double surprise = -stories.tell(seed).log_probability;
    sum += surprise;
    sum_of_squares += surprise * surprise;
  }
  const double mean = sum / kNumStories, variance = sum_of_squares / kNumStories - mean * mean;
  EXPECT_NEAR(stories.entropy(), mean, 4 * std::sqrt(variance / kNumStories));
  EXPECT_GT(stories.entropy(), 18.0);
  EXPECT_LT(stories.entropy(), 30.0);
}

// A full stop is a word of its own here.
size_t num_words(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return c == ' ' || c == '.'; })) + 1;
}

TEST(Stories, RandomWordsAreAsUnlikelyAsTheMeanOfManyStoriesSays) {
  const Stories stories;
  constexpr int kNumStories = 20'000;
  double sum = 0.0, sum_of_squares = 0.0;
  for (uint64_t seed = 0; seed < kNumStories; ++seed) {
    // Each word, and the end, is one of the words, the full stop and the end.
    const double nats = static_cast<double>(num_words(stories.tell(seed).text) + 1) *
                        std::log(static_cast<double>(stories.vocabulary().size() + 2));
    sum += nats;
    sum_of_squares += nats * nats;
  }
  const double mean = sum / kNumStories, variance = sum_of_squares / kNumStories - mean * mean;
  const auto reference = stories.reference_scores();
  EXPECT_NEAR(reference.random, mean, 4 * std::sqrt(variance / kNumStories));
  EXPECT_EQ(reference.expert, stories.entropy());
  EXPECT_GT(reference.random, 5 * reference.expert);
}

TEST(Stories, ThePictureShowsTheDocumentOfItsSeed) {
  const Stories stories;
  const auto picture = stories.picture(3);
  ASSERT_EQ(picture.sizes(), at::IntArrayRef({320, 560, 3}));
  ASSERT_EQ(picture.scalar_type(), at::kByte);
  EXPECT_TRUE(picture.equal(stories.picture(3)));
  EXPECT_FALSE(picture.equal(stories.picture(4)));
  for (uint64_t seed = 0; seed < 300; ++seed) {  // nothing is cut off: the margins are paper
    const auto card = stories.picture(seed);
    const auto is_ink = (card.select(2, 0) < 150);
    EXPECT_GT(is_ink.sum().item<int64_t>(), 2000);
    for (const auto& margin :
         {is_ink.narrow(0, 0, 16), is_ink.narrow(0, 304, 16), is_ink.narrow(1, 0, 16), is_ink.narrow(1, 544, 16)})
      EXPECT_FALSE(margin.any().item<bool>()) << "seed " << seed;
  }
}

TEST(Stories, EqualTextsHaveEqualProbabilities) {
  const Stories stories;
  std::unordered_map<std::string, std::pair<double, int>> seen;  // log-probability, count
  constexpr int kNumStories = 100'000;
  for (uint64_t seed = 0; seed < kNumStories; ++seed) {
    const auto story = stories.tell(seed);
    const auto [entry, is_new] = seen.try_emplace(story.text, story.log_probability, 0);
    EXPECT_NEAR(entry->second.first, story.log_probability, 1e-12) << story.text;
    ++entry->second.second;
  }
  double total = 0.0;
  for (const auto& [text, entry] : seen) total += std::exp(entry.first);
  EXPECT_LE(total, 1.0);
  // Texts that were seen more than once tell as much as their probability says, pooled over all of them: the expected number of
  // pairs of equal stories is n(n-1)/2 times the sum of p^2, estimated here by the mean of p.
  double pairs = 0.0, expected = 0.0;
  for (const auto& [text, entry] : seen) {
    pairs += 0.5 * entry.second * (entry.second - 1);
    expected += 0.5 * (kNumStories - 1) * entry.second * std::exp(entry.first);
  }
  EXPECT_NEAR(pairs, expected, 6 * std::sqrt(expected)) << "pairs of equal stories";
}

// Frequencies of first words against the grammar: an independent look at how values are drawn.
TEST(Stories, FirstNamesAreDrawnByTheirWeights) {
  const Stories stories;
  constexpr int kNumStories = 20'000;
  std::map<std::string, int> counts;
  for (uint64_t seed = 0; seed < kNumStories; ++seed) ++counts[words_of(stories.tell(seed).text).front()];
  const std::map<std::string, double> expected{{"one", 0.40}, {"mia", 0.6 * 0.22}, {"tom", 0.6 * 0.18}, {"leo", 0.6 * 0.02}};
  for (const auto& [word, probability] : expected) {
    EXPECT_NEAR(counts[word], kNumStories * probability, 4 * std::sqrt(kNumStories * probability * (1 - probability))) << word;
  }
}

TEST(Stories, WhatBreaksAgreementIsImpossible) {
  const Stories stories;
  const std::string gift =
      "mia took a red ball to the park on a sunny day. there she met a big dog who wanted the ball. she gave the red ball to "
      "the "
      "dog. the dog was happy and mia left the park.";
  const double log_probability = stories.log_probability(gift);
  EXPECT_GT(log_probability, kMinusInfinity);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"there she", "there he"},
                                                                                 {"she gave", "he gave"},
                                                                                 {"red ball to", "blue ball to"},
                                                                                 {"red ball to", "red cake to"},
                                                                                 {"left the park", "left the farm"},
                                                                                 {"wanted the ball", "wanted the kite"},
                                                                                 {"the dog was", "the cat was"},
                                                                                 {"mia left", "anna left"}}) {
    EXPECT_EQ(stories.log_probability(replaced(gift, from, to)), kMinusInfinity) << from << " -> " << to;
  }
  // The same change made everywhere is another story.
  std::string renamed = gift;
  for (size_t at = 0; (at = renamed.find("mia", at)) != std::string::npos;) renamed.replace(at, 3, "anna");
  EXPECT_NEAR(stories.log_probability(renamed), log_probability + std::log(0.14 / 0.22), 1e-9);

  const std::string chase =
      "tom lived near the lake and had a blue kite. a shy fox saw him and asked for the kite. the fox took the kite and ran to "
      "the "
      "rock. tom found the blue kite near the rock.";
  EXPECT_GT(stories.log_probability(chase), kMinusInfinity);
  EXPECT_EQ(stories.log_probability(replaced(chase, "saw him", "saw her")), kMinusInfinity);
  EXPECT_EQ(stories.log_probability(replaced(chase, "near the rock", "near the tree")), kMinusInfinity);
}

TEST(Stories, AnythingElseIsImpossible) {
  const Stories stories;
  Random random(7);
  for (const char* text : {"", ".", " ", "mia", "the red ball is green"})
    EXPECT_EQ(stories.log_probability(text), kMinusInfinity);
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const auto text = stories.tell(seed).text;
    for (const auto& other : {" " + text, text + " ", text + ".", text + " " + text, text.substr(0, text.size() - 1)})
      EXPECT_EQ(stories.log_probability(other), kMinusInfinity) << other;
    // Two neighbouring words the other way round; no rule allows that.
    auto words = words_of(text.substr(0, text.find('.')));
    const auto at = static_cast<size_t>(random.below(static_cast<int64_t>(words.size()) - 1));
    std::swap(words[at], words[at + 1]);
    std::string swapped;
    for (const auto& word : words) swapped += (swapped.empty() ? "" : " ") + word;
    EXPECT_EQ(stories.log_probability(swapped + text.substr(text.find('.'))), kMinusInfinity) << swapped;
  }
}

// Where a story may stop or go on, stopping has its share of the probability.
TEST(Stories, ProbabilityIncludesTheEnd) {
  const Stories stories;
  const std::string story =
      "mia took a red ball to the park on a sunny day. there she met a big dog who wanted the ball. she gave the red ball to "
      "the dog.";
  const double stopped = stories.log_probability(story);
  const double thanked = stories.log_probability(story + " now the big dog has a red ball.");
  EXPECT_NEAR(stopped - thanked, std::log(0.20 / 0.35), 1e-9);
}

// ------------------------------------------------------------------------------------ the text tokenizer of the quick start

class QuickstartTokenizer : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(model_.Load(MUGATO_ROOT "/data/tokenizers/quickstart.model").ok()); }

  // Encodes a text, checks that it comes back, gives its pieces without the marks of word beginnings.
  std::vector<std::string> pieces(const std::string& text) {
    std::vector<int> ids;
    std::vector<std::string> parts;
    std::string decoded;
    EXPECT_TRUE(model_.Encode(text, &ids).ok() && model_.Encode(text, &parts).ok() && model_.Decode(ids, &decoded).ok());
    EXPECT_EQ(decoded, text);
    for (const int id : ids) EXPECT_FALSE(model_.IsUnknown(id)) << text;
    constexpr std::string_view kMark = "\u2581";
    for (auto& part : parts)
      if (part.starts_with(kMark)) part = part.substr(kMark.size());
    return parts;
  }

  sentencepiece::SentencePieceProcessor model_;
};

std::vector<std::string> words_and_marks(const std::string& text) {
  std::vector<std::string> parts;
  for (const auto& word : words_of(text)) {
    const size_t mark = word.find_first_of(".?");
    parts.push_back(word.substr(0, mark));
    if (mark != std::string::npos) parts.push_back(word.substr(mark));
  }
  return parts;
}

TEST_F(QuickstartTokenizer, EveryWordIsOnePiece) {
  EXPECT_LE(model_.GetPieceSize(), 1000);
  const Stories stories;
  std::vector<std::string> texts{"go to the yellow box",
                                 "go to the red key",
                                 "what color is the triangle?",
                                 "what shape is the purple one?",
                                 "how many squares are there?",
                                 "how many shapes are there?",
                                 "is there an orange circle?",
                                 "is there a green square?",
                                 "yes",
                                 "no",
                                 "0",
                                 "1",
                                 "2",
                                 "3",
                                 "4",
                                 "orange",
                                 "circle"};
  for (uint64_t seed = 0; seed < 2'000; ++seed) texts.push_back(stories.tell(seed | 1ULL << 63).text);
  for (const auto& text : texts) EXPECT_EQ(pieces(text), words_and_marks(text));
}

TEST_F(QuickstartTokenizer, AnyTextComesBack) {
  Random random(3);
  for (const char* text :
       {" two  spaces ", "\ttabs\nand lines", "Upper Case, 1234!", "Gr\u00fc\u00dfe \u4e16\u754c \U0001f600"})
    pieces(text);
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (int64_t left = random.below(40); left > 0; --left) text += static_cast<char>(random.between(1, 127));
    pieces(text);
  }
}

}  // namespace
}  // namespace mugato::env
