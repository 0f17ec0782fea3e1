#include "mugato/text/tokenizer.h"

#include <gtest/gtest.h>

#include "message_of.h"
#include "mugato/core/files.h"
#include "temporary_folder.h"

namespace mugato::text {
namespace {

using testing::message_of;
using testing::TemporaryFolder;

const std::string kBpe = std::string(MUGATO_FIXTURES) + "/bpe";
const std::string kModel = std::string(MUGATO_FIXTURES) + "/sentencepiece/unigram.model";

void expect_says(const std::string& message, const std::vector<std::string>& parts) {
  for (const auto& part : parts) EXPECT_NE(message.find(part), std::string::npos) << message << "\nshould say: " << part;
}

TEST(Tokenizer, KindsAreToldApartByContentWhateverTheName) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", read_file(kBpe + "/tokenizer.json"));
  write_file_atomically(folder / "b", read_file(kModel));
  EXPECT_EQ(load_tokenizer((folder / "a").string())->size(), 512);
  EXPECT_EQ(load_tokenizer((folder / "b").string())->size(), 937);
  EXPECT_EQ(load_tokenizer(kBpe + "/vocab.json")->size(), 512);
  EXPECT_EQ(load_tokenizer(kBpe)->size(), 512);
}

TEST(Tokenizer, WhatIsSerializedIsParsedAgainAndKeptUnderItsName) {
  for (const auto& [path, name] : std::map<std::string, std::string>{
           {kModel, "tokenizer.model"}, {kBpe, "tokenizer.json"}, {kBpe + "/vocab.json", "tokenizer.json"}}) {
    const auto tokenizer = load_tokenizer(path);
    const auto serialized = tokenizer->serialized();
    EXPECT_EQ(kept_name(serialized), name);
    const TemporaryFolder folder;
    EXPECT_FALSE(kept_file(folder.path()));
    write_file_atomically(folder / name, serialized);
    EXPECT_EQ(kept_file(folder.path()), folder / name);
    const std::string text = "go to the red ball, don't stop";
    EXPECT_EQ(load_tokenizer(folder.path().string())->encode(text), tokenizer->encode(text));
    EXPECT_EQ(parse_tokenizer(serialized, "kept")->encode(text), tokenizer->encode(text));
  }
}

// The first bytes of a model are a newline, the length of its first piece's entry, and that entry's newline.
TEST(Tokenizer, AModelThatBeginsAsJsonDoesIsAModel) {
  std::string model = "\n{\nu";
  model.append(117, 'x').append("\x15").append(4, '\0');
  EXPECT_EQ(kept_name(model), "tokenizer.model");
  EXPECT_EQ(kept_name(" \r\n\t{ \n \"model\": 1}"), "tokenizer.json");
}

TEST(Tokenizer, WhatIsNoTokenizerIsNamed) {
  const TemporaryFolder folder;
  const auto path = folder.path().string();
  const auto load = [&](const std::string& what) { return message_of([&] { load_tokenizer(what); }); };
  expect_says(load(path), {"'" + path + "' is a folder without a text tokenizer", "\nhint: ", "tokenizer.model", "vocab.json"});
  expect_says(load(path + "/no.model"), {"cannot read '" + path + "/no.model'", "\nhint: "});
  write_file_atomically(folder / "config.toml", "[train]\n");
  expect_says(load(path + "/config.toml"), {"config.toml'", "not a SentencePiece model", "\nhint: "});
  write_file_atomically(folder / "config.json", R"({"vocab_size": 3})");
  expect_says(load(path + "/config.json"), {"config.json' is JSON, but no tokenizer.json", "\nhint: "});
  write_file_atomically(folder / "vocab.json", read_file(kBpe + "/vocab.json"));
  expect_says(load(path), {"merges.txt"});
}

}  // namespace
}  // namespace mugato::text
