// Defects of others that text must not have here: cutting by characters, an end in the middle (M16), windows that are never
// drawn (M8), and a document one token too long for its row (N5).
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "fake_sources.h"
#include "mugato/data/windows.h"

namespace mugato::data {
namespace {

// Two letters a token, so that tokens and characters are not the same.
class PairTokenizer : public TextTokenizer {
 public:
  int64_t size() const override { return 26 * 26; }
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (size_t i = 0; i + 1 < text.size(); i += 2) ids.push_back((text[i] - 'a') * 26 + text[i + 1] - 'a');
    return ids;
  }
  std::string decode(const std::vector<int32_t>& ids) const override {
    std::string text;
    for (const int32_t id : ids) text += piece(id);
    return text;
  }
  std::string piece(int32_t id) const override { return {static_cast<char>('a' + id / 26), static_cast<char>('a' + id % 26)}; }
  std::string serialized() const override { return "pairs"; }
};

struct Cutting {
  explicit Cutting(int64_t context_)
      : context(context_),
        tokenizer(std::make_shared<Tokenizer>(vocabulary, std::make_shared<PairTokenizer>())),
        cutter(schema, {.context = context_}, *tokenizer, sequencer) {}

  // Written into a row of the context: one token more would throw.
  std::vector<int64_t> ids(const Sample& sample) const {
    const std::vector<std::vector<Sample>> rows{{sample}};
    return documents_of(sequencer.lay_out(rows, context, 1)).front();
  }

  int64_t context;
  Vocabulary vocabulary{{.text_size = 26 * 26}};
  std::shared_ptr<const Schema> schema =
      std::make_shared<const Schema>(Schema{{{.name = "text", .modality = Modality::kText, .role = Role::kText}}});
  std::shared_ptr<const Tokenizer> tokenizer;
  Sequencer sequencer{vocabulary, {}};
  WindowCutter cutter;
};

// A text of tokens that all differ, so that a window says where it is from.
Episode text_of(int64_t num_tokens) {
  std::string text;
  for (int64_t i = 0; i < num_tokens; ++i) text += PairTokenizer().piece(static_cast<int32_t>(7 * i + 3));
  Episode episode{.num_steps = 1, .id = "text"};
  episode.fields = {{{}, {text}}};
  return episode;
}

TEST(TextWindows, AreWholeTokensOneAfterTheOtherAndEndWhereTheTextEnds) {
  Random random(1);
  for (int trial = 0; trial < 400; ++trial) {
    const Cutting cutting(random.between(3, 24));
    const int64_t num_tokens = random.between(1, 60);
    auto ids = cutting.ids(cutting.cutter.random(text_of(num_tokens), random));
    const bool starts = ids.front() == cutting.vocabulary.separator(), ends = ids.back() == cutting.vocabulary.end();
    if (starts) ids.erase(ids.begin());
    if (ends) ids.pop_back();
    ASSERT_FALSE(ids.empty());
    EXPECT_EQ(starts, ids.front() == 3);
    EXPECT_EQ(ends, ids.back() == 7 * (num_tokens - 1) + 3);
    for (size_t i = 1; i < ids.size(); ++i) EXPECT_EQ(ids[i], ids[i - 1] + 7) << "an end, or half a token, in the middle";
  }
}

TEST(TextWindows, AreAllReached) {
  constexpr int64_t kTokens = 30, kDraws = 20000;
  const Cutting cutting(12);
  Random random(2);
  const auto episode = text_of(kTokens);
  std::map<int64_t, double> starts;
  for (int64_t i = 0; i < kDraws; ++i) {
    const auto ids = cutting.ids(cutting.cutter.random(episode, random));
    ++starts[ids.front() == cutting.vocabulary.separator() ? 0 : (ids.front() - 3) / 7];
  }
  // From the first token, whose window holds ten, to the last window, of eleven and the end.
  ASSERT_EQ(starts.size(), 20U);
  EXPECT_EQ(starts.begin()->first, 0);
  EXPECT_EQ(starts.rbegin()->first, kTokens - 11);
  for (const auto& [start, count] : starts) EXPECT_NEAR(count, kDraws / 20.0, 5 * std::sqrt(kDraws / 20.0)) << start;
}

TEST(TextWindows, OfAnyLengthAboutTheContextFitIntoIt) {
  Random random(3);
  for (int64_t context = 4; context < 20; ++context) {
    const Cutting cutting(context);
    for (int64_t num_tokens = std::max<int64_t>(1, context - 4); num_tokens < context + 5; ++num_tokens) {
      const auto episode = text_of(num_tokens);
      for (int i = 0; i < 20; ++i) cutting.ids(cutting.cutter.random(episode, random));
      std::set<int64_t> targets;
      for (const auto& part : cutting.cutter.all(episode)) {
        const auto ids = cutting.ids(part);
        for (size_t t = 1; t < ids.size(); ++t) EXPECT_TRUE(targets.insert(ids[t]).second) << "twice a target";
      }
      EXPECT_EQ(static_cast<int64_t>(targets.size()), num_tokens + 1) << "every token and the end";
    }
  }
}

}  // namespace
}  // namespace mugato::data
