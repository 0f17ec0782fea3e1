#include "mugato/run/texts.h"

#include <algorithm>
#include <set>

#include "tiny_run.h"

namespace mugato::run {
namespace {

// Three timesteps of a note that changes, a title that does not, and a number.
class Notes : public data::Source {
 public:
  Notes(std::string name, int64_t size) : name_(std::move(name)), size_(size) {
    schema_.fields = {{.name = "note", .modality = Modality::kText},
                      {.name = "number", .modality = Modality::kContinuous, .role = Role::kAction},
                      {.name = "title", .modality = Modality::kText}};
  }
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return size_; }
  Episode get(int64_t index) const override {
    const std::string title = name_ + " " + std::to_string(index);
    return {.fields = {{{}, {title + " a", title + " b", title + " a"}}, {at::zeros({3}), {}}, {{}, {title, title, title}}},
            .num_steps = 3,
            .id = title};
  }

 private:
  std::string name_;
  int64_t size_;
  Schema schema_;
};

class Texts : public ::testing::Test {
 protected:
  Texts() {
    for (const auto& [name, size] : std::map<std::string, int64_t>{{"many", data::Source::kUnbounded}, {"ten", 10}, {"six", 6}})
      registries_.sources.add(name,
                              [name = name, size = size](const auto&, auto) { return std::make_unique<Notes>(name, size); });
  }

  std::vector<std::string> read(const std::string& data, int64_t documents) {
    const auto texts = training_texts(parse_config(data, "test.toml"), registries_, documents);
    std::vector<std::string> all;
    while (auto text = texts()) all.push_back(*text);
    EXPECT_FALSE(texts());
    return all;
  }

  // Of the texts, those that are titles: one an episode.
  static int64_t num_titles(const std::vector<std::string>& texts, const std::string& source) {
    return std::count_if(texts.begin(), texts.end(), [&](const std::string& text) {
      return text.starts_with(source + " ") && text.find(' ', source.size() + 1) == std::string::npos;
    });
  }

  Registries registries_;
};

TEST_F(Texts, EveryTextOfAnEpisodeComesAndWhatStaysTheSameOnce) {
  EXPECT_EQ(read("[[data]]\nsource = \"many\"", 1).size(), 4U);
  const auto texts = read("[[data]]\nsource = \"ten\"", 100'000);
  EXPECT_EQ(texts.size(), 40U);
  std::set<std::string> distinct(texts.begin(), texts.end());
  EXPECT_EQ(distinct.size(), 30U) << "no episode twice, none left out";
  EXPECT_EQ(num_titles(texts, "ten"), 10);
}

TEST_F(Texts, EntriesAreInterleavedByWeightAndLimitedInAll) {
  const std::string data =
      "[[data]]\nsource = \"many\"\nname = \"one\"\nweight = 3\n[[data]]\nsource = \"six\"\n[[data]]\nsource = \"ten\"\nweight "
      "= 0\n";
  const auto few = read(data, 8);
  EXPECT_EQ(num_titles(few, "many") + num_titles(few, "six"), 8);
  const auto all = read(data, 1000);
  EXPECT_EQ(num_titles(all, "six"), 6) << "every episode once";
  EXPECT_EQ(num_titles(all, "many"), 994);
  EXPECT_EQ(num_titles(all, "ten"), 0) << "an entry without weight is not trained on";
  const auto last_six = std::find_if(all.rbegin(), all.rend(), [](const std::string& text) { return text.starts_with("six"); });
  EXPECT_LT(all.rend() - last_six, 400) << "one in four, not at the end";
  EXPECT_EQ(read(data, 1000), all);
}

TEST_F(Texts, EntriesWithoutTextAreNotDrawnFrom) {
  const auto texts = read("[[data]]\nsource = \"point_maze\"\nweight = 50\n[[data]]\nsource = \"ten\"", 7);
  EXPECT_EQ(num_titles(texts, "ten"), 7);
  expect_mentions(message_of([&] { read("[[data]]\nsource = \"point_maze\"", 7); }),
                  {"no [[data]] entry has text to train a tokenizer on", "\nhint: "});
}

}  // namespace
}  // namespace mugato::run
