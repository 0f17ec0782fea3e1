#include <gtest/gtest.h>

#include "fake_sources.h"
#include "message_of.h"
#include "mugato/data/loader.h"
#include "same_step.h"

namespace mugato::data {
namespace {

// Clocks, some of which can not be read.
class FaultySource : public ClockSource {
 public:
  FaultySource(int64_t size, int64_t longest, uint64_t every) : ClockSource(size, longest), every_(every) {}
  bool is_broken(int64_t index) const { return hash_key(11, index) % every_ == 0; }
  Episode get(int64_t index) const override {
    if (is_broken(index)) throw Error("clocks.bin, episode " + std::to_string(index) + " at byte 3: not a clock", "mend it");
    return ClockSource::get(index);
  }

 private:
  uint64_t every_;
};

std::unique_ptr<Loader> make_loader(const std::string& on_bad_sample, std::shared_ptr<const Source> source,
                                    LoaderOptions options) {
  return std::make_unique<Loader>(
      std::vector<DataEntry>{{.source = "faulty", .max_steps = 1, .on_bad_sample = on_bad_sample},
                             {.source = "letters", .weight = 0.5}},
      std::vector<std::shared_ptr<const Source>>{std::move(source), std::make_shared<LetterSource>(30)}, test_tokenizer(),
      std::make_shared<Sequencer>(test_vocabulary(), SequencerOptions{}), options);
}

TEST(BrokenSamples, EndTheTrainingWithAMessageThatSaysWhereTheyAre) {
  const auto loader = make_loader("error", std::make_shared<FaultySource>(50, 9, 5), {.rows = 1, .context = 8, .seed = 1});
  const auto message = testing::message_of([&] {
    for (int64_t n = 0; n < 100; ++n) loader->next();
  });
  EXPECT_NE(message.find("[[data]] entry 'faulty': clocks.bin, episode "), std::string::npos) << message;
  EXPECT_NE(message.find(" at byte 3"), std::string::npos) << message;
  EXPECT_NE(message.find("\nhint: mend it"), std::string::npos) << message;
}

// One lane of one document a row: its episodes are the mixture's draws in turn, the broken ones left out.
TEST(BrokenSamples, AreReplacedByTheNextDrawOfTheLane) {
  const auto source = std::make_shared<FaultySource>(50, 1, 4);
  Loader loader({{.source = "faulty", .on_bad_sample = "skip"}}, {source}, test_tokenizer(),
                std::make_shared<Sequencer>(test_vocabulary(), SequencerOptions{}), {.rows = 1, .context = 8, .seed = 2});
  const Mixture mixture({1.0}, {50}, 2);
  std::vector<int64_t> expected, found;
  int64_t broken = 0, counted = 0;
  for (int64_t n = 0; n < 40; ++n) {
    const auto step = loader.next();
    for (const auto& ids : documents_of(step.micro_batches[0])) found.push_back(ids[0] - test_vocabulary().discrete().begin);
    counted += step.counts[0].skipped;
    EXPECT_EQ(step.counts[0].skipped > 0, step.problems[0].find("not a clock") != std::string::npos) << step.problems[0];
  }
  for (int64_t number = 0; expected.size() < found.size() + 1; ++number) {
    const int64_t index = mixture.draw(number).index;
    if (source->is_broken(index)) ++broken;
    else expected.push_back(index);
  }
  expected.pop_back();  // the one that is carried over: those before it are passed already
  EXPECT_EQ(found, expected);
  EXPECT_EQ(counted, broken);
  EXPECT_GT(broken, 5);
}

TEST(BrokenSamples, DoNotMakeStepsDependOnWorkersOrStops) {
  const auto source = std::make_shared<FaultySource>(Source::kUnbounded, 9, 3);
  LoaderOptions options{.rows = 5, .context = 24, .seed = 3};
  const auto straight = make_loader("skip", source, options);
  std::vector<GlobalStep> expected;
  std::vector<std::string> positions{straight->state()};
  int64_t skipped = 0;
  for (int64_t n = 0; n < 20; ++n) {
    expected.push_back(straight->next());
    positions.push_back(straight->state());
    skipped += expected.back().counts[0].skipped;
  }
  EXPECT_GT(skipped, 20);
  for (const int64_t workers : {1, 2, 4}) {
    options.workers = workers;
    for (size_t k = 0; k < expected.size(); k += 3) {
      const auto loader = make_loader("skip", source, options);
      loader->set_state(positions[k]);
      for (size_t n = k; n < std::min(k + 4, expected.size()); ++n)
        ASSERT_TRUE(same_step(loader->next(), expected[n])) << workers << " workers, stopped at " << k << ", step " << n;
    }
  }
}

TEST(BrokenSamples, WithoutEndAreAnError) {
  const auto all_broken = std::make_shared<FaultySource>(7, 9, 1);
  Loader loader({{.source = "faulty", .on_bad_sample = "skip"}}, {all_broken}, test_tokenizer(),
                std::make_shared<Sequencer>(test_vocabulary(), SequencerOptions{}), {.rows = 2, .context = 8});
  const auto message = testing::message_of([&] { loader.next(); });
  EXPECT_NE(message.find("1000 samples one after the other could not be made; the last of 'faulty': clocks.bin"),
            std::string::npos)
      << message;
}

}  // namespace
}  // namespace mugato::data
