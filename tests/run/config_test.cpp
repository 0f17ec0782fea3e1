#include "mugato/run/config.h"

#include <gtest/gtest.h>

#include "tiny_run.h"

namespace mugato::run {
namespace {

const std::string kData = "[[data]]\nsource = \"four_rooms\"\n";

RunConfig parse(const std::string& toml, const std::vector<std::string>& assignments = {}) {
  return parse_config(toml, "a.toml", assignments);
}

TEST(RunConfig, APresetLiesBelowTheFileAndTheFileBelowAssignments) {
  const std::string toml = "[model]\npreset = \"gpt2-124m\"\nheads = 6\nffn_width = 100\n" + kData;
  const auto config = parse(toml, {"model.ffn_width=200", "train.context=64"});
  const auto& sequence = config.model.agent.sequence;
  EXPECT_EQ(sequence.blocks, 12);
  EXPECT_EQ(sequence.width, 768);
  EXPECT_EQ(sequence.activation, "gelu_tanh");
  EXPECT_TRUE(sequence.global_positions);
  EXPECT_TRUE(config.model.agent.tied_head);
  EXPECT_EQ(sequence.heads, 6);
  EXPECT_EQ(sequence.ffn_width, 200);
  EXPECT_EQ(sequence.context, 64) << "positions reach as far as rows";
}

TEST(RunConfig, APresetCanBeAssigned) {
  const auto config = parse("[model]\npreset = \"gpt2-124m\"\nwidth = 96\n" + kData, {"model.preset=gato-79m"});
  EXPECT_EQ(config.model.agent.sequence.blocks, 8);
  EXPECT_EQ(config.model.agent.sequence.activation, "geglu");
  EXPECT_EQ(config.model.agent.sequence.width, 96);
}

TEST(RunConfig, EveryPresetIsAConfiguration) {
  for (const auto& name : preset_names()) {
    const auto config = parse("[model]\npreset = \"" + name + "\"\n" + kData);
    EXPECT_EQ(config.model.agent.sequence.width % config.model.agent.sequence.heads, 0) << name;
  }
}

// Paper C.1, table 5: blocks, heads, width, feed-forward size, and size of keys and values; appendix D; section 2.1.
TEST(RunConfig, GatoPresetsAreThePapers) {
  struct Sizes {
    const char* name;
    int64_t blocks, heads, width, ffn_width, head_size;
  };
  for (const Sizes& paper : {Sizes{"gato-1.2b", 24, 16, 2048, 8192, 128}, Sizes{"gato-364m", 12, 12, 1536, 6144, 128},
                             Sizes{"gato-79m", 8, 24, 768, 3072, 32}}) {
    SCOPED_TRACE(paper.name);
    const auto config = parse("[model]\npreset = \"" + std::string(paper.name) + "\"\n" + kData);
    const auto& sequence = config.model.agent.sequence;
    EXPECT_EQ(sequence.blocks, paper.blocks);
    EXPECT_EQ(sequence.heads, paper.heads);
    EXPECT_EQ(sequence.width, paper.width);
    EXPECT_EQ(sequence.ffn_width, paper.ffn_width);
    EXPECT_EQ(sequence.width / sequence.heads, paper.head_size);
    EXPECT_EQ(sequence.activation, "geglu");
    EXPECT_EQ(sequence.stochastic_depth, 0.1);
    EXPECT_EQ(sequence.context, 1024);
    EXPECT_EQ(config.tokens.text_size, 32000);
    EXPECT_EQ(config.tokens.num_continuous, 1024);
    EXPECT_EQ(config.tokens.num_discrete, 1024);
    EXPECT_FALSE(sequence.global_positions);
    EXPECT_FALSE(config.model.agent.tied_head);
  }
}

TEST(RunConfig, OnlyGatoPresetsAskForATokenizerOfSomeSize) {
  for (const auto& name : preset_names())
    if (!name.starts_with("gato-")) {
      EXPECT_EQ(parse(kData, {"model.preset=" + name}).tokens.text_size, 0) << name;
    }
  EXPECT_EQ(parse(kData, {"model.preset=gato-79m", "tokens.text_size=0"}).tokens.text_size, 0);
}

TEST(RunConfig, AnUnknownPresetNamesTheNearest) {
  expect_mentions(message_of([] { parse("[model]\npreset = \"gato-79\"\n" + kData); }),
                  {"model.preset is 'gato-79'", "\nhint: did you mean 'gato-79m'?"});
}

TEST(RunConfig, UnknownKeysNameTheNearest) {
  expect_mentions(message_of([] { parse("[train]\nstep = 5\n" + kData); }),
                  {"a.toml:2", "unknown key 'train.step'", "did you mean 'train.steps'?"});
  expect_mentions(message_of([] { parse(kData, {"optim.learning_rat=1"}); }),
                  {"unknown key 'optim.learning_rat'", "did you mean 'optim.learning_rate'?"});
  expect_mentions(message_of([] { parse(kData + "wieght = 2\n"); }), {"wieght", "did you mean 'data.0.weight'?"});
}

TEST(RunConfig, ValuesThatAreNotAllowedSayWhatIs) {
  expect_mentions(message_of([] { parse("[train]\nsteps = 0\n" + kData); }), {"a.toml:2", "train.steps = 0", "at least 1"});
  expect_mentions(message_of([] { parse("[train]\nsteps = \"many\"\n" + kData); }), {"train.steps must be an integer"});
  expect_mentions(message_of([] { parse(kData + "weight = -1\n"); }), {"data.0.weight = -1", "at least 0"});
}

TEST(RunConfig, DataEntriesAreNeededAndNamedApart) {
  expect_mentions(message_of([] { parse(""); }), {"a.toml: no [[data]] entry"});
  expect_mentions(message_of([] { parse(kData + kData); }), {"two [[data]] entries are named 'four_rooms'"});
  expect_mentions(message_of([] { parse(kData + "[[data]]\nsource = \"stories\"\nname = \"four_rooms\"\n"); }),
                  {"two [[data]] entries are named 'four_rooms'"});
  EXPECT_EQ(parse(kData + kData + "name = \"again\"\n").data.size(), 2U);
}

TEST(RunConfig, TheResolvedConfigurationIsReadBackAsTheSame) {
  auto config = tiny_config("some where/\"run\"", {"model.preset=gpt2-124m", "optim.learning_rate=0.1", "run.seed=77"});
  const auto toml = keys_of(config).to_toml();
  auto again = parse_config(toml, "config.toml");
  EXPECT_EQ(keys_of(again).to_toml(), toml);
  EXPECT_EQ(again.out, "some where/\"run\"");
  EXPECT_EQ(again.data[0].weight, 2.0);
  EXPECT_EQ(again.model.agent.sequence.blocks, 12);
  EXPECT_EQ(again.model.agent.sequence.width, 32);
}

TEST(RunConfig, EveryConfigurationOfTheRepositoryIsOne) {
  int64_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(MUGATO_ROOT "/configs")) {
    if (entry.path().extension() != ".toml") continue;
    EXPECT_NO_THROW(read_config(entry.path().string())) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 1);
}

TEST(Config, ATemperatureThatNothingReadsIsAnError) {
  const std::string data = "[[data]]\nsource = \"four_rooms\"\n";
  EXPECT_EQ(parse_config(data + "[mixture]\nweights = \"temperature\"\ntemperature = 3\n", "run.toml").mixture.temperature,
            3.0);
  for (const char* weights : {"explicit", "size"})
    EXPECT_NE(testing::message_of([&] {
                parse_config("[mixture]\nweights = \"" + std::string(weights) + "\"\ntemperature = 3\n" + data, "run.toml");
              }).find("mixture.temperature is set"),
              std::string::npos);
}

}  // namespace
}  // namespace mugato::run
