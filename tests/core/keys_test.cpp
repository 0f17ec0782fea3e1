#include "mugato/core/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "mugato/core/error.h"

namespace mugato {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct FieldOptions {
  std::string role = "observation";
  std::vector<double> range;
};

void declare(KeyTable& keys, const std::string& prefix, FieldOptions& options) {
  keys.add(prefix + "role", &options.role, "what the field is for", one_of({"observation", "action"}));
  keys.add(prefix + "range", &options.range, "lowest and highest value");
}

struct DataOptions {
  std::string source;
  double weight = 1.0;
  std::map<std::string, FieldOptions> fields;
};

void declare(KeyTable& keys, const std::string& prefix, DataOptions& options) {
  keys.add(prefix + "source", &options.source, "where episodes come from", not_empty());
  keys.add(prefix + "weight", &options.weight, "share of the draws", positive());
  keys.add_named_tables(prefix + "fields", &options.fields, "fields declared anew");
}

struct Options {
  int64_t seed = 0;
  std::string out = "runs/default";
  bool resume = false;
  int64_t width = 512;
  double dropout = 0.1;
  std::string kind = "transformer";
  std::vector<int64_t> sizes = {1, 2};
  std::vector<double> betas = {0.9, 0.95};
  std::vector<std::string> tags;
  std::vector<DataOptions> data;
};

KeyTable declare_all(Options& options) {
  KeyTable keys;
  keys.add("seed", &options.seed, "seed of every random number");
  keys.add("run.out", &options.out, "folder of the run");
  keys.add("run.resume", &options.resume, "continue the run");
  keys.add("model.width", &options.width, "width D of the trunk", range(8, 65536));
  keys.add("model.dropout", &options.dropout, "probability of dropping", range(0.0, 0.9));
  keys.add("model.kind", &options.kind, "sequence model", one_of({"transformer", "lstm"}));
  keys.add("model.block.sizes", &options.sizes, "sizes of the layers", positive());
  keys.add("optim.betas", &options.betas, "decay of the moments", range(0.0, 1.0));
  keys.add("run.tags", &options.tags, "labels");
  keys.add_tables("data", &options.data, "sources and their weights");
  return keys;
}

// The message of the Error that `action` throws; "" when it throws none.
template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string read_error(const std::string& text) {
  Options options;
  KeyTable keys = declare_all(options);
  return error_of([&] { keys.read_toml(text, "run.toml"); });
}

std::string set_error(const std::string& assignment) {
  Options options;
  options.data.resize(2);
  KeyTable keys = declare_all(options);
  return error_of([&] { keys.set(assignment); });
}

TEST(Keys, ReadsEveryTypeAndKeepsWhatIsNotMentioned) {
  Options options;
  declare_all(options).read_toml(R"(
seed = 7
[run]
resume = true
tags = ["a", "b"]
[model]
dropout = 0      # an integer for a number
block.sizes = []
[optim]
betas = [0, 0.5]
[[data]]
source = "four_rooms"
[[data]]
source = "minari"
weight = 2.5
fields.image = { role = "action" }
fields."observation.state" = { range = [-1, 1] }
)",
                                 "run.toml");
  EXPECT_EQ(options.seed, 7);
  EXPECT_TRUE(options.resume);
  EXPECT_THAT(options.tags, ElementsAre("a", "b"));
  EXPECT_EQ(options.dropout, 0.0);
  EXPECT_TRUE(options.sizes.empty());
  EXPECT_THAT(options.betas, ElementsAre(0.0, 0.5));
  EXPECT_EQ(options.out, "runs/default");
  EXPECT_EQ(options.width, 512);
  ASSERT_EQ(options.data.size(), 2U);
  EXPECT_EQ(options.data[0].source, "four_rooms");
  EXPECT_EQ(options.data[0].weight, 1.0);
  EXPECT_EQ(options.data[1].weight, 2.5);
  EXPECT_EQ(options.data[1].fields.at("image").role, "action");
  EXPECT_THAT(options.data[1].fields.at("observation.state").range, ElementsAre(-1.0, 1.0));
}

TEST(Keys, AFileReplacesTheEntriesOfAnArrayOfTables) {
  Options options;
  options.data.resize(3);
  declare_all(options).read_toml("[[data]]\nsource = \"x\"\n", "run.toml");
  ASSERT_EQ(options.data.size(), 1U);
  declare_all(options).read_toml("seed = 1", "run.toml");
  EXPECT_EQ(options.data.size(), 1U) << "a file that does not mention the array keeps it";
  declare_all(options).read_toml("data = []", "run.toml");
  EXPECT_TRUE(options.data.empty());
}

TEST(Keys, UnknownKeyNamesPlaceAndNearestKey) {
  EXPECT_EQ(read_error("seed = 1\n[model]\nwdith = 3\n"),
            "run.toml:3: unknown key 'model.wdith'\nhint: did you mean 'model.width'?");
  EXPECT_EQ(read_error("[modle]\nwidth = 3\n"), "run.toml:1: unknown key 'modle'\nhint: did you mean 'model'?");
  EXPECT_EQ(read_error("betas = [0.5]"), "run.toml:1: unknown key 'betas'\nhint: did you mean 'optim.betas'?");
  EXPECT_EQ(read_error("[[data]]\n[[data]]\nwieght = 1.0\n"),
            "run.toml:3: unknown key 'data.1.wieght'\nhint: did you mean 'data.1.weight'?");
  EXPECT_EQ(read_error("[[data]]\n[data.fields.image]\n\nroll = 'action'\n"),
            "run.toml:4: unknown key 'data.0.fields.image.roll'\nhint: did you mean 'data.0.fields.image.role'?");
  EXPECT_EQ(read_error("\"model.width\" = 9"), "run.toml:1: unknown key '\"model.width\"'\nhint: did you mean 'model.width'?");
}

TEST(Keys, WrongTypeNamesKeyPlaceExpectedAndFound) {
  struct Case {
    std::string text, expected;
  };
  for (const auto& [text, expected] : std::vector<Case>{
           {"seed = \"x\"", "run.toml:1: seed must be an integer, found the string \"x\"\n"},
           {"seed = 1.0", "run.toml:1: seed must be an integer, found the number 1.0\n"},
           {"\nseed = true", "run.toml:2: seed must be an integer, found true\n"},
           {"seed = 1979-05-27", "run.toml:1: seed must be an integer, found a date or time\n"},
           {"run.resume = 1", "run.toml:1: run.resume must be true or false, found the integer 1\n"},
           {"run.out = 3", "run.toml:1: run.out must be a string, found the integer 3\n"},
           {"[model]\ndropout = [1]", "run.toml:2: model.dropout must be a number, found a list with the integer 1\n"},
           {"model.width = {a = 1}", "run.toml:1: model.width must be an integer, found a table\n"},
           {"model.block.sizes = [1, 2.5]", "run.toml:1: model.block.sizes must be a list of integers, found"},
           {"optim.betas = 0.5", "run.toml:1: optim.betas must be a list of numbers, found the number 0.5\n"},
           {"run.tags = [1]", "run.toml:1: run.tags must be a list of strings, found a list with the integer 1\n"},
           {"model = 3", "run.toml:1: model is a table of keys, found the integer 3\n"},
           {"[data]\nweight = 1.0", "run.toml:1: data must be an array of tables, found a table\n"},
           {"data = 3", "run.toml:1: data must be an array of tables, found the integer 3\n"},
           {"data = [1]", "run.toml:1: data.0 must be a table, found the integer 1\n"},
           {"[[data]]\nfields = 1", "run.toml:2: data.0.fields must be a table of tables, found the integer 1\n"},
           {"[[data]]\nfields.image = 1", "run.toml:2: data.0.fields.image must be a table, found the integer 1\n"},
       })
    EXPECT_THAT(read_error(text), StartsWith(expected)) << text;
}

TEST(Keys, ValuesThatAreNotAllowedSayWhatIs) {
  EXPECT_EQ(read_error("[model]\nwidth = 4"),
            "run.toml:2: model.width = 4 is not allowed: 8 to 65536\nhint: width D of the trunk");
  EXPECT_THAT(read_error("model.dropout = nan"), HasSubstr("model.dropout = nan is not allowed: 0 to 0.9"));
  EXPECT_THAT(read_error("model.kind = \"rnn\""), HasSubstr("model.kind = \"rnn\" is not allowed: transformer | lstm"));
  EXPECT_THAT(read_error("model.block.sizes = [3, 0]"), HasSubstr("model.block.sizes = [3, 0] is not allowed: above 0"));
  EXPECT_THAT(read_error("[[data]]\nsource = ''"), HasSubstr("data.0.source = \"\" is not allowed: not empty"));
  EXPECT_EQ(read_error("model.width = 8"), "");
  EXPECT_EQ(read_error("model.width = 65536"), "");
}

TEST(Keys, ARefusedValueLeavesTheTargetAlone) {
  Options options;
  KeyTable keys = declare_all(options);
  EXPECT_THROW(keys.set("model.width=4"), Error);
  EXPECT_EQ(options.width, 512);
}

TEST(Keys, WhatIsNotTomlNamesFileAndLine) {
  EXPECT_THAT(read_error("seed = 1\nseed = 2\n"), StartsWith("run.toml:2: "));
  EXPECT_THAT(read_error("seed = 1\nseed = 2\n"), HasSubstr("hint: "));
  EXPECT_THAT(read_error("[model]\nwidth = 9\n[model]\n"), StartsWith("run.toml:3: "));
  EXPECT_THAT(read_error("[model]\n\nwidth = abc\n"), StartsWith("run.toml:3: "));
  EXPECT_THAT(read_error("run.out = \"\xff\""), StartsWith("run.toml:1: "));
}

TEST(Keys, LettersBeyondAsciiStandInQuotes) {
  for (const std::string bare : {"é = 1", "a.ü = 1", "\uFEEF = 1", "run.seed = 1 \u3042", "run.seed\u00A0= 1", "run.out = 'a'é",
                                 "run.out = \"\"\"a\"\"\"\"\"é"})
    EXPECT_THAT(read_error("model.width = 3\n" + bare + "\n"),
                StartsWith("run.toml:2: a letter beyond ASCII stands outside of quotes"))
        << bare;
  for (const std::string quoted :
       {"run.out = \"é\\\"ü\"", "run.out = 'é' # ü", "run.out = '''\né' ''ü'''", "run.\"out\" = 'x' # ' é\n# \" é",
        "run.out = \"\"\"é\"\\\"\"\"ü\"\"\"\"\"", "# 'é\nrun.out = \"# é\""}) {
    Options options;
    KeyTable keys = declare_all(options);
    keys.read_toml(quoted, "run.toml");
    EXPECT_NE(options.out, Options().out) << quoted;
  }
  Options options;
  KeyTable keys = declare_all(options);
  keys.set("run.out=runs/é");
  EXPECT_EQ(options.out, "runs/é");
}

TEST(Keys, SetTakesTomlAndBareWords) {
  Options options;
  options.data.resize(2);
  KeyTable keys = declare_all(options);
  keys.set("model.width=256");
  keys.set(" model.dropout = 5e-1 ");
  keys.set("run.out=runs/a=b");
  keys.set("run.tags=[\"x\", \"y\"]");
  keys.set("run.resume=true");
  keys.set("data.1.weight=2");
  keys.set("data.0.source=\"four rooms\"");
  keys.set("data.0.fields.\"observation.state\".role=action");
  keys.set("optim={betas=[0.25]}");
  EXPECT_EQ(options.width, 256);
  EXPECT_EQ(options.dropout, 0.5);
  EXPECT_EQ(options.out, "runs/a=b");
  EXPECT_THAT(options.tags, ElementsAre("x", "y"));
  EXPECT_TRUE(options.resume);
  EXPECT_EQ(options.data[0].weight, 1.0);
  EXPECT_EQ(options.data[1].weight, 2.0);
  EXPECT_EQ(options.data[0].source, "four rooms");
  EXPECT_EQ(options.data[0].fields.at("observation.state").role, "action");
  EXPECT_THAT(options.betas, ElementsAre(0.25));
  for (const std::string word : {"123", "true", "2024-01-01", "[1]", "a b", "\"half", "a\nseed = 3", ""}) {
    keys.set("run.out=" + word);
    EXPECT_EQ(options.out, word);
  }
  keys.set("data=[{source='only'}]");
  ASSERT_EQ(options.data.size(), 1U);
  EXPECT_EQ(options.data[0].source, "only");
}

TEST(Keys, SetExplainsWhatItRefuses) {
  EXPECT_THAT(set_error("model.wdith=3"),
              StartsWith("--set model.wdith=3: unknown key 'model.wdith'\nhint: did you mean 'model.width'?"));
  EXPECT_THAT(set_error("model.width=wide"),
              StartsWith("--set model.width=wide: model.width must be an integer, found the string \"wide\""));
  EXPECT_THAT(set_error("model.width=4"), HasSubstr("is not allowed: 8 to 65536"));
  EXPECT_THAT(set_error("data.2.weight=1"), HasSubstr("data has 2 entries, and none is '2'"));
  EXPECT_THAT(set_error("data.x.weight=1"), HasSubstr("data has 2 entries, and none is 'x'"));
  EXPECT_THAT(set_error("run.out=\xff"), StartsWith("--set run.out="));
  for (const std::string text : {"model.width", "=3", "", "#a=1", "[[data]]\nweight=2", "model..width=9"})
    EXPECT_THAT(set_error(text), HasSubstr("hint: ")) << text;
}

TEST(Keys, ValidateChecksValuesThatWereNotRead) {
  Options options;
  options.data.resize(2);
  options.data[0].source = "x";
  EXPECT_THAT(error_of([&] { declare_all(options).validate(); }), StartsWith("data.1.source = \"\" is not allowed: not empty"));
  options.data[1].source = "y";
  EXPECT_EQ(error_of([&] { declare_all(options).validate(); }), "");
  options.width = 3;
  EXPECT_THAT(error_of([&] { declare_all(options).validate(); }), StartsWith("model.width = 3 is not allowed"));
}

TEST(Keys, HelpHasALineForEachKeyWithItsDefault) {
  Options options;
  KeyTable keys = declare_all(options);
  keys.set("model.width=64");
  const std::string help = keys.help();
  EXPECT_THAT(help, ::testing::ContainsRegex("model\\.width +512 +8 to 65536 +width D of the trunk\n"));
  EXPECT_THAT(help, ::testing::ContainsRegex("data\\.N\\.weight +1\\.0 +above 0 +share of the draws\n"));
  EXPECT_THAT(help, ::testing::ContainsRegex("data\\.N\\.fields\\.NAME\\.role +\"observation\" +observation \\| action"));
  for (const auto& name : keys.names()) EXPECT_THAT(help, HasSubstr("\n" + name + " "));
}

TEST(Keys, NamesThatClashAreRefusedWhenDeclared) {
  Options options;
  KeyTable keys = declare_all(options);
  for (const std::string name : {"seed", "model", "model.width.x", "data", "data.x", "", ".a", "a..b"})
    EXPECT_ANY_THROW(keys.add(name, &options.seed, "")) << name;
}

}  // namespace
}  // namespace mugato
