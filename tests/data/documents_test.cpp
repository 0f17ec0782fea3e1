#include "mugato/data/documents.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

#include "fake_sources.h"
#include "message_of.h"
#include "mugato/data/mixture.h"

namespace mugato::data {
namespace {

constexpr int64_t kStepTokens = 4;

// A maker with what it needs.
struct Making {
  Making(DataEntry entry, std::shared_ptr<const Source> source, int64_t context, uint64_t seed = 1,
         SequencerOptions options = {})
      : sequencer(test_vocabulary(), options),
        maker(std::move(entry), std::move(source), *tokenizer, sequencer, {.context = context, .seed = seed}) {}

  Sample one(int64_t number, int64_t episode) const {
    auto made = maker.make(number, std::vector<int64_t>{episode});
    EXPECT_EQ(made.documents.size(), 1U);
    return std::move(made.documents.front());
  }
  MicroBatch batch(const Sample& sample) const {
    const std::vector<std::vector<Sample>> rows{{sample}};
    return sequencer.lay_out(rows, sequencer.num_tokens(sample), 1);
  }

  std::shared_ptr<const Tokenizer> tokenizer = test_tokenizer();
  Sequencer sequencer;
  DocumentMaker maker;
};

struct Step {
  int64_t episode, step;
};

// The timesteps of a document of ClockSource, having checked that every action is in its place.
std::vector<Step> steps_of(const MicroBatch& batch) {
  const auto ids = documents_of(batch).front();
  const auto begin = test_vocabulary().discrete().begin;
  std::vector<Step> steps;
  EXPECT_EQ(ids.size() % kStepTokens, 0U) << "half a timestep";
  for (size_t i = 0; i + kStepTokens <= ids.size(); i += kStepTokens) {
    steps.push_back({ids[i] - begin, ids[i + 1] - begin});
    EXPECT_EQ(ids[i + 2], test_vocabulary().separator());
    EXPECT_EQ(ids[i + 3] - begin, action_of(steps.back().episode, steps.back().step)) << "the action is of another timestep";
  }
  return steps;
}

// Whether steps [first, last) are one after the other in one episode.
bool is_window(const std::vector<Step>& steps, int64_t first, int64_t last) {
  for (auto i = static_cast<size_t>(first) + 1; i < static_cast<size_t>(last); ++i)
    if (steps[i].episode != steps[i - 1].episode || steps[i].step != steps[i - 1].step + 1) return false;
  return true;
}

TEST(Prompts, AreWholeTimestepsOfAnotherEpisodeWithinTheirShareOfTheContext) {
  Random random(1);
  for (int trial = 0; trial < 400; ++trial) {
    const int64_t size = random.between(2, 40), context = random.between(kStepTokens, 80),
                  max_steps = random.chance(0.3) ? random.between(1, 6) : 0;
    const double fraction = random.uniform();
    const auto source = std::make_shared<ClockSource>(size, random.between(1, 25));
    const Making making({.source = "clock", .max_steps = max_steps, .prompt_share = 1.0, .prompt_fraction = fraction}, source,
                        context);
    const int64_t episode = random.below(size);
    const auto sample = making.one(random.below(1000), episode);
    const auto batch = making.batch(sample);
    const auto steps = steps_of(batch);
    const int64_t num_steps = static_cast<int64_t>(steps.size()), prompt = sample.prompt_steps;
    ASSERT_LE(num_steps * kStepTokens, context);
    EXPECT_TRUE(is_window(steps, 0, prompt) && is_window(steps, prompt, num_steps));
    EXPECT_EQ(steps.back().episode, episode) << "the document is of the episode that was drawn";
    EXPECT_LT(prompt, num_steps) << "nothing follows the prompt";
    // There is one exactly where it has room for a timestep.
    const auto most = std::min(static_cast<int64_t>(fraction * static_cast<double>(context)), context - kStepTokens);
    EXPECT_EQ(prompt > 0, most >= kStepTokens) << most;
    EXPECT_LE(prompt * kStepTokens, most);
    if (prompt > 0) {
      EXPECT_NE(steps.front().episode, episode);
    }
    if (max_steps > 0) {
      EXPECT_LE(std::max(prompt, num_steps - prompt), max_steps);
    }
    // One document: positions and timesteps go on.
    EXPECT_EQ(batch.layout.documents.size(), 1U);
    EXPECT_TRUE(batch.layout.position[0].equal(at::arange(num_steps * kStepTokens)));
    EXPECT_EQ(batch.layout.timestep.max().item<int64_t>(), num_steps - 1);
  }
}

TEST(Prompts, AreAQuarterOfTheDocumentsAndHalfOfThemTheEndOfAnyOtherEpisode) {
  constexpr int64_t kSize = 5, kDraws = 8000;
  class Long : public ClockSource {  // all of 60 timesteps
   public:
    Long() : ClockSource(kSize, 1) {}
    Episode get(int64_t index) const override {
      Episode episode{.num_steps = 60, .id = "long"};
      auto actions = at::empty({60}, at::kLong);
      for (int64_t e = 0; e < 60; ++e) actions[e] = action_of(index, e);
      const auto numbers = at::stack({at::full({60}, index, at::kLong), at::arange(60)}, 1);
      episode.fields = {{numbers, {}}, {actions, {}}};
      return episode;
    }
  };
  const Making making({.source = "clock", .prompt_share = 0.25}, std::make_shared<Long>(), 10 * kStepTokens);
  double prompted = 0, at_end = 0, middle = 0;
  std::map<int64_t, double> of_episode;
  for (int64_t number = 0; number < kDraws; ++number) {
    const auto sample = making.one(number, 2);
    if (sample.prompt_steps == 0) continue;
    const auto steps = steps_of(making.batch(sample));
    const auto last = steps[static_cast<size_t>(sample.prompt_steps) - 1];
    ++prompted;
    ++of_episode[last.episode];
    // A window of five at random is one of 64, of which those cut short by an end lie at it.
    at_end += last.step == 59 && sample.prompt_steps == 5;
    middle += last.step == 30;
  }
  EXPECT_NEAR(prompted, 0.25 * kDraws, 5 * std::sqrt(0.25 * 0.75 * kDraws));
  EXPECT_NEAR(at_end, prompted * (0.5 + 0.5 / 64), 5 * std::sqrt(0.25 * prompted));
  EXPECT_NEAR(middle, prompted * 0.5 / 64, 5 * std::sqrt(prompted * 0.5 / 64));
  EXPECT_EQ(of_episode.size(), static_cast<size_t>(kSize - 1));
  for (const auto& [episode, count] : of_episode) EXPECT_NEAR(count, prompted / 4, 5 * std::sqrt(prompted / 4)) << episode;
}

TEST(Prompts, AskForTargetsOrNot) {
  const auto source = std::make_shared<ClockSource>(20, 9);
  for (const bool loss : {true, false}) {
    const Making making({.source = "clock", .prompt_share = 1.0, .prompt_loss = loss}, source, 60);
    for (int64_t number = 0; number < 20; ++number) {
      const auto sample = making.one(number, number);
      const auto batch = making.batch(sample);
      ASSERT_GT(sample.prompt_steps, 0);
      std::set<int64_t> expected, found;
      for (int64_t e = loss ? 0 : sample.prompt_steps; e < sample.timesteps.num_steps; ++e)
        expected.insert(kStepTokens * e + 2);
      for (int64_t k = 0; k < batch.layout.num_targets(); ++k) found.insert(batch.layout.target_slots[k].item<int64_t>());
      EXPECT_EQ(found, expected);
    }
  }
}

TEST(Prompts, WithoutAShareADocumentIsTheWindowOfTheDraw) {
  const auto source = std::make_shared<ClockSource>(50, 30);
  const Making plain({.source = "clock"}, source, 40);
  const WindowCutter cutter(plain.maker.schema(), {.context = 40}, *plain.tokenizer, plain.sequencer);
  for (int64_t number = 0; number < 50; ++number) {
    Random random(hash_key(uint64_t{1}, 0x77696e0a, number));
    EXPECT_EQ(documents_of(plain.batch(plain.one(number, number))),
              documents_of(plain.batch(cutter.random(source->get(number), random))));
  }
}

TEST(Prompts, AnOnlyEpisodeDemonstratesItself) {
  const Making making({.source = "clock", .prompt_share = 1.0}, std::make_shared<ClockSource>(1, 9), 60);
  const auto steps = steps_of(making.batch(making.one(3, 0)));
  EXPECT_EQ(steps.front().episode, 0);
}

TEST(Prompts, KeysThatDoNotSuitAreErrors) {
  const auto clock = std::make_shared<ClockSource>(4, 3);
  const auto message = [&](DataEntry entry, std::shared_ptr<const Source> source) {
    return testing::message_of([&] { Making(std::move(entry), std::move(source), 40); });
  };
  EXPECT_NE(message({.source = "a", .prompt_share = 0.1, .pairs = 2}, clock).find("'a': prompt_share and pairs"),
            std::string::npos);
  EXPECT_NE(message({.source = "a", .pairs = 5}, clock).find("pairs is 5, and there are 4"), std::string::npos);
  for (const DataEntry& entry : {DataEntry{.source = "a", .prompt_share = 0.1}, DataEntry{.source = "a", .pairs = 2}})
    EXPECT_NE(message(entry, std::make_shared<LetterSource>(9)).find("not for text documents"), std::string::npos);
}

// Pictures of any size with a question and its answer.
class PictureSource : public Source {
 public:
  explicit PictureSource(int64_t size) : size_(size) {
    schema_.fields = {
        {.name = "answer", .role = Role::kAnswer}, {.name = "picture", .modality = Modality::kImage}, {.name = "question"}};
  }
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return size_; }
  Episode get(int64_t index) const override {
    Random random(hash_key(9, index));
    const auto pixels = at::full({1, random.between(1, 50), random.between(1, 50), 3}, index % 256, at::kByte);
    return {.fields = {{{}, {"no " + std::to_string(index)}},
                       {pixels, {}},
                       {{}, {std::string(static_cast<size_t>(random.between(1, 9)), '?')}}},
            .num_steps = 1,
            .id = "picture " + std::to_string(index)};
  }

 private:
  int64_t size_;
  Schema schema_;
};

// What a batch says of its tokens, apart from where they stand.
std::vector<at::Tensor> contents_of(const MicroBatch& batch) {
  const auto& layout = batch.layout;
  return {
      layout.ids.flatten(), layout.field.flatten(), layout.local.flatten(), layout.targets,
      layout.patch_row,     layout.patch_column,    layout.patch_number,    batch.patches.index_select(0, layout.patch_index)};
}

TEST(Pairs, OfPicturesOfAnySizeAreTheTimestepsOfAsFewDocumentsAsHoldThem) {
  Random random(4);
  for (int trial = 0; trial < 60; ++trial) {
    const int64_t pairs = random.between(2, 6), context = random.between(40, 150);
    const bool text_observations = random.chance(0.3);
    const Making making({.source = "pictures", .pairs = pairs}, std::make_shared<PictureSource>(100), context, 1,
                        {.text_observations = text_observations});
    const Making single({.source = "pictures"}, std::make_shared<PictureSource>(100), context, 1,
                        {.text_observations = text_observations});
    std::vector<int64_t> episodes(static_cast<size_t>(pairs));
    for (auto& episode : episodes) episode = random.below(100);
    const auto made = making.maker.make(7, episodes);
    size_t next = 0;
    for (const auto& document : made.documents) {
      const auto tokens = making.sequencer.num_tokens(document);
      ASSERT_LE(tokens, context);
      std::vector<std::vector<at::Tensor>> parts;
      const auto whole = making.batch(document);
      EXPECT_EQ(whole.layout.documents.size(), 1U);
      int64_t alone = 0;
      for (int64_t e = 0; e < document.timesteps.num_steps; ++e) {
        const auto part = single.one(0, episodes[next++]);
        alone += making.sequencer.num_tokens(part);
        parts.push_back(contents_of(single.batch(part)));
      }
      // The separator before a question that is a target comes once a document.
      if (text_observations) continue;
      EXPECT_EQ(tokens, alone);
      const auto found = contents_of(whole);
      for (size_t i = 0; i < found.size(); ++i) {
        std::vector<at::Tensor> all;
        for (const auto& part : parts) all.push_back(part[i]);
        EXPECT_TRUE(found[i].equal(at::cat(all))) << "tensor " << i;
      }
      // One more would not have fitted.
      if (next < episodes.size()) {
        EXPECT_GT(tokens + making.sequencer.num_tokens(single.one(0, episodes[next])), context);
      }
    }
    EXPECT_EQ(next, episodes.size()) << "a pair was lost";
  }
}

TEST(Pairs, OfWhichOneIsTooLongOrHasSeveralTimestepsAreErrors) {
  const Making narrow({.source = "pictures", .pairs = 2}, std::make_shared<PictureSource>(100), 8);
  EXPECT_NE(testing::message_of([&] {
              for (int64_t i = 0; i < 100; i += 2) narrow.maker.make(0, std::vector<int64_t>{i, i + 1});
            }).find("'pictures': picture "),
            std::string::npos);
  const Making clocks({.source = "clock", .pairs = 2}, std::make_shared<ClockSource>(100, 9), 80);
  EXPECT_NE(testing::message_of([&] {
              for (int64_t i = 0; i < 100; i += 2) clocks.maker.make(0, std::vector<int64_t>{i, i + 1});
            }).find("pairs are episodes of one timestep"),
            std::string::npos);
}

}  // namespace
}  // namespace mugato::data
