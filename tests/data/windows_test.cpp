#include "mugato/data/windows.h"

#include <gtest/gtest.h>

#include "fake_sources.h"
#include "message_of.h"
#include "mugato/core/error.h"

namespace mugato::data {
namespace {

using testing::message_of;

constexpr int64_t kStepTokens = 4;

struct Cutting {
  explicit Cutting(const Source& source, WindowCutter::Options options)
      : cutter(std::make_shared<const Schema>(source.schema()), options, *tokenizer, sequencer) {}

  std::vector<int64_t> ids(const Sample& sample) const {
    const std::vector<std::vector<Sample>> rows{{sample}};
    return documents_of(sequencer.lay_out(rows, sequencer.num_tokens(sample), 1)).front();
  }

  std::shared_ptr<const Tokenizer> tokenizer = test_tokenizer();
  Sequencer sequencer{test_vocabulary(), {}};
  WindowCutter cutter;
};

// First timestep and length of a window of ClockSource, having checked that every token is where it belongs.
Window read_window(const std::vector<int64_t>& ids, int64_t episode) {
  const auto vocabulary = test_vocabulary();
  const auto discrete = [&](size_t i) { return ids[i] - vocabulary.discrete().begin; };
  EXPECT_EQ(ids.size() % kStepTokens, 0U) << "half a timestep";
  const int64_t start = discrete(1);
  for (size_t t = 0; t < ids.size() / kStepTokens; ++t) {
    const int64_t step = start + static_cast<int64_t>(t);
    EXPECT_EQ(discrete(kStepTokens * t), episode);
    EXPECT_EQ(discrete(kStepTokens * t + 1), step);
    EXPECT_EQ(ids[kStepTokens * t + 2], vocabulary.separator());
    EXPECT_EQ(discrete(kStepTokens * t + 3), action_of(episode, step)) << "the action is of another timestep";
  }
  return {start, static_cast<int64_t>(ids.size()) / kStepTokens};
}

TEST(WindowCutter, WindowsAreWholeTimestepsWithinContextAndMaxSteps) {
  const ClockSource source(1000, 30);
  Random random(1);
  for (int trial = 0; trial < 300; ++trial) {
    const int64_t context = random.between(kStepTokens, 60), max_steps = random.chance(0.5) ? random.between(1, 12) : 0;
    const Cutting cutting(source, {.context = context, .max_steps = max_steps});
    const int64_t index = random.below(1000), num_steps = source.length(index);
    const int64_t most = std::min({context / kStepTokens, max_steps > 0 ? max_steps : num_steps, num_steps});
    const auto window = read_window(cutting.ids(cutting.cutter.random(source.get(index), random)), index);
    EXPECT_GE(window.start, 0);
    EXPECT_LE(window.length, most);
    EXPECT_LE(window.start + window.length, num_steps);
    // As long as it can be: a shorter one touches an end of the episode.
    if (window.length < most) {
      EXPECT_TRUE(window.start == 0 || window.start + window.length == num_steps);
    }
    if (most == num_steps) {
      EXPECT_EQ(window.length, num_steps);
    }
  }
}

TEST(WindowCutter, EveryTimestepIsEquallyLikely) {
  const ClockSource source(1000, 40);
  int64_t index = 0;
  while (source.length(index) != 23) ++index;
  const auto episode = source.get(index);
  const Cutting cutting(source, {.context = 7 * kStepTokens + 3});
  Random random(2);
  constexpr int64_t kTrials = 6000;
  std::vector<int64_t> seen(23, 0);
  for (int64_t i = 0; i < kTrials; ++i) {
    const auto window = read_window(cutting.ids(cutting.cutter.random(episode, random)), index);
    for (int64_t step = window.start; step < window.start + window.length; ++step) ++seen[static_cast<size_t>(step)];
  }
  const double probability = 7.0 / (23 + 6), expected = probability * kTrials;  // starts from -6 to 22
  const double deviation = std::sqrt(expected * (1 - probability));
  for (size_t step = 0; step < seen.size(); ++step)
    EXPECT_NEAR(static_cast<double>(seen[step]), expected, 5 * deviation) << "timestep " << step;
}

// An episode whose timestep e has lengths[e] tokens: a clock, a text of the rest, separator, action.
struct Uneven {
  explicit Uneven(const std::vector<int64_t>& token_counts) : lengths(token_counts) {
    schema.fields = {{.name = "clock", .modality = Modality::kDiscrete, .num_values = {kNumDiscrete}},
                     {.name = "move", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {kNumDiscrete}},
                     {.name = "words", .role = Role::kObservation}};
    episode.num_steps = static_cast<int64_t>(lengths.size());
    episode.id = "uneven";
    std::vector<std::string> words;
    for (const int64_t length : lengths) words.emplace_back(static_cast<size_t>(length - 3), 'w');
    episode.fields = {
        {at::arange(episode.num_steps, at::kLong), {}}, {at::arange(episode.num_steps, at::kLong), {}}, {{}, words}};
  }

  int64_t longest(int64_t start, int64_t context) const {
    int64_t length = 0, sum = 0;
    for (auto e = static_cast<size_t>(start); e < lengths.size() && (sum += lengths[e]) <= context; ++e) ++length;
    return length;
  }

  std::vector<int64_t> lengths;
  Schema schema;
  Episode episode;
};

struct UnevenCutting {
  UnevenCutting(const Uneven& uneven, int64_t context)
      : cutter(std::make_shared<const Schema>(uneven.schema), {.context = context}, *tokenizer, sequencer) {}

  Window window(const Sample& sample) const {
    return {sample.timesteps.fields[0].tokens[0][0][0].item<int64_t>() - test_vocabulary().discrete().begin,
            sample.timesteps.num_steps};
  }

  std::shared_ptr<const Tokenizer> tokenizer = test_tokenizer();
  Sequencer sequencer{test_vocabulary(), {}};
  WindowCutter cutter;
};

TEST(WindowCutter, TimestepsOfUnequalLengthAreEquallyLikelyInTheLongestWindows) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    std::vector<int64_t> lengths;
    for (int64_t e = 0; e < 15; ++e) lengths.push_back(random.between(3, 20));
    if (seed % 3 == 0) lengths[0] = 20;  // a long first timestep says nothing of the others
    const Uneven uneven(lengths);
    const int64_t context = random.between(20, 70);
    const UnevenCutting cutting(uneven, context);
    constexpr int64_t kTrials = 3000;
    std::vector<double> seen(lengths.size(), 0.0);
    for (int64_t i = 0; i < kTrials; ++i) {
      const auto sample = cutting.cutter.random(uneven.episode, random);
      ASSERT_LE(cutting.sequencer.num_tokens(sample), context);
      const auto window = cutting.window(sample);
      if (window.start > 0) {
        EXPECT_EQ(window.length, uneven.longest(window.start, context));
      }
      for (int64_t e = window.start; e < window.start + window.length; ++e) ++seen[static_cast<size_t>(e)];
    }
    double mean = 0.0;
    for (const double count : seen) mean += count / static_cast<double>(seen.size());
    const double deviation = std::sqrt(mean * (1 - mean / kTrials));
    for (size_t e = 0; e < seen.size(); ++e) EXPECT_NEAR(seen[e], mean, 5 * deviation) << "timestep " << e;
  }
}

// With timesteps of one length the draw is what it always was, number for number: scores of trained runs stay valid.
TEST(WindowCutter, EqualTimestepsAreDrawnByOneUniformStart) {
  const ClockSource source(1000, 40);
  Random lengths(9);
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const int64_t index = lengths.below(1000), steps = source.length(index), most = lengths.between(1, 12);
    const Cutting cutting(source, {.context = most * kStepTokens + lengths.below(kStepTokens)});
    Random random(seed), expected(seed);
    const auto window = read_window(cutting.ids(cutting.cutter.random(source.get(index), random)), index);
    const int64_t start = most >= steps ? 0 : expected.between(1 - most, steps - 1);
    EXPECT_EQ(window.start, std::max<int64_t>(start, 0));
    EXPECT_EQ(window.length, std::min(start + most, steps) - window.start);
    EXPECT_EQ(random.below(1 << 30), expected.below(1 << 30)) << "another number of draws";
  }
}

TEST(WindowCutter, ATimestepThatNeverFitsIsAnErrorWhicheverWindowIsDrawn) {
  const Uneven uneven({4, 4, 4, 4, 30, 4, 4, 4, 4, 4});
  const UnevenCutting cutting(uneven, 20);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    Random random(seed);
    const auto message = message_of([&] { cutting.cutter.random(uneven.episode, random); });
    EXPECT_NE(message.find("uneven: timestep 4 alone has 30 tokens"), std::string::npos) << message;
  }
  EXPECT_NE(message_of([&] { cutting.cutter.all(uneven.episode); }).find("timestep 4"), std::string::npos);
}

TEST(WindowCutter, EpisodesWithoutTimestepsAndTextsOfSeveralAreErrors) {
  Random random(8);
  const Uneven nothing({});
  const UnevenCutting cutting(nothing, 20);
  for (const auto& action : std::vector<std::function<void()>>{[&] { cutting.cutter.random(nothing.episode, random); },
                                                               [&] { cutting.cutter.all(nothing.episode); }})
    EXPECT_NE(message_of(action).find("uneven has no timesteps\nhint: "), std::string::npos);
  const LetterSource source(5);
  const Cutting text(source, {.context = 16});
  Episode twice{.fields = {{{}, {"a", "b"}}}, .num_steps = 2, .id = "twice"};
  EXPECT_NE(message_of([&] { text.cutter.random(twice, random); }).find("twice is a text document of 2 timesteps"),
            std::string::npos);
}

TEST(WindowCutter, AllCoversEveryTimestepOnceInOrder) {
  const ClockSource source(1000, 30);
  Random random(3);
  for (int trial = 0; trial < 100; ++trial) {
    const Cutting cutting(source, {.context = random.between(kStepTokens, 50), .max_steps = random.between(0, 9)});
    const int64_t index = random.below(1000);
    int64_t next = 0;
    const auto samples = cutting.cutter.all(source.get(index));
    for (const auto& sample : samples) {
      const auto window = read_window(cutting.ids(sample), index);
      EXPECT_EQ(window.start, next);
      next += window.length;
      EXPECT_EQ(sample.timesteps.ends, next == source.length(index));
    }
    EXPECT_EQ(next, source.length(index));
  }
}

TEST(WindowCutter, ATimestepThatDoesNotFitIsAnErrorThatNamesTheEpisode) {
  const ClockSource source(10, 1);
  const Cutting cutting(source, {.context = kStepTokens - 1});
  Random random(4);
  for (const bool all : {false, true}) {
    try {
      if (all) cutting.cutter.all(source.get(3));
      else cutting.cutter.random(source.get(3), random);
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find("clock episode 3"), std::string::npos) << message;
      EXPECT_NE(message.find("4 tokens"), std::string::npos) << message;
      EXPECT_NE(message.find("context is 3"), std::string::npos) << message;
      EXPECT_NE(message.find("\nhint: "), std::string::npos) << message;
    }
  }
}

TEST(WindowCutter, LongTextIsCutAtARandomTokenWithTheEndOnlyAtItsEnd) {
  const LetterSource source(120);
  const auto vocabulary = test_vocabulary();
  constexpr int64_t kContext = 32;
  const Cutting cutting(source, {.context = kContext});
  Random random(5);
  int64_t num_cut = 0, num_ends = 0;
  std::set<int64_t> starts;
  for (int64_t trial = 0; trial < 600; ++trial) {
    const auto episode = source.get(trial % 20);
    const std::string& text = episode.fields[0].text[0];
    auto ids = cutting.ids(cutting.cutter.random(episode, random));
    ASSERT_LE(static_cast<int64_t>(ids.size()), kContext);
    const bool has_start = ids.front() == vocabulary.separator();
    if (has_start) ids.erase(ids.begin());
    const bool ends = ids.back() == vocabulary.end();
    if (ends) ids.pop_back();
    const std::string found(ids.begin(), ids.end());
    const size_t at = text.find(found);
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(ends, at + found.size() == text.size());
    EXPECT_EQ(has_start, at == 0);
    if (text.size() + 2 <= kContext) {
      EXPECT_EQ(found, text);
    } else {
      const bool one_too_long = text.size() + 1 == kContext;  // then both parts lack a token
      EXPECT_EQ(found.size(), kContext - (has_start || one_too_long ? 2U : 1U)) << "a cut window fills its row";
      ++num_cut;
      num_ends += ends;
      if (trial % 20 == 0) starts.insert(static_cast<int64_t>(at));
    }
  }
  EXPECT_GT(num_cut, 100);
  EXPECT_GT(num_ends, 0);
  EXPECT_LT(num_ends, num_cut / 2);
  EXPECT_TRUE(starts.empty() || starts.size() > 5);
}

TEST(WindowCutter, AllCutsTextWithoutGapsAndEndsOnce) {
  const LetterSource source(150);
  const auto vocabulary = test_vocabulary();
  Random random(6);
  for (int64_t trial = 0; trial < 100; ++trial) {
    const int64_t context = random.between(8, 40);
    const Cutting cutting(source, {.context = context});
    const auto episode = source.get(trial);
    std::string found;
    const auto samples = cutting.cutter.all(episode);
    for (size_t i = 0; i < samples.size(); ++i) {
      auto ids = cutting.ids(samples[i]);
      ASSERT_LE(static_cast<int64_t>(ids.size()), context);
      EXPECT_EQ(ids.front() == vocabulary.separator(), i == 0);
      EXPECT_EQ(ids.back() == vocabulary.end(), i + 1 == samples.size());
      // What is a target: all but the first token, which the part before this one had as its last.
      for (size_t t = 1; t < ids.size(); ++t)
        if (vocabulary.text().contains(ids[t])) found += static_cast<char>(ids[t]);
    }
    EXPECT_EQ(found, episode.fields[0].text[0]);
  }
}

TEST(WindowCutter, TextWithoutTokensIsADocumentThatEndsAtOnce) {
  const LetterSource source(1);
  const Cutting cutting(source, {.context = 8});
  Episode episode{.num_steps = 1, .id = "nothing"};
  episode.fields = {{{}, {""}}};
  const auto vocabulary = test_vocabulary();
  const std::vector<int64_t> expected{vocabulary.separator(), vocabulary.end()};
  Random random(7);
  EXPECT_EQ(cutting.ids(cutting.cutter.random(episode, random)), expected);
  const auto samples = cutting.cutter.all(episode);
  ASSERT_EQ(samples.size(), 1U);
  EXPECT_EQ(cutting.ids(samples[0]), expected);
}

}  // namespace
}  // namespace mugato::data
