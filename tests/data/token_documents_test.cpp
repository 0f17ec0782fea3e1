// Files of token ids against the numbers that nanoGPT's and llm.c's own writers gave them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "data/fake_sources.h"
#include "image_text.h"
#include "message_of.h"
#include "mugato/data/windows.h"
#include "mugato/text/tokenizer.h"
#include "temporary_folder.h"

namespace mugato::data {
namespace {

using mugato::testing::message_of;
using mugato::testing::TemporaryFolder;
using ::testing::HasSubstr;

const auto kBins = kFixtures / "bin";

std::unique_ptr<Source> tokens(const std::string& path, int64_t end_of_text, const std::string& type = "auto") {
  return source_of("tokens", {.path = path, .token_type = type, .end_of_text = end_of_text});
}

std::vector<int64_t> ids_of(const Episode& episode) {
  const auto ids = episode.fields[0].values.contiguous();
  return {ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel()};
}

// Documents with the end of text after each: what nanoGPT writes.
std::vector<int64_t> appended(const Source& source, int64_t end_of_text) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < source.size(); ++i) {
    for (const int64_t id : ids_of(source.get(i))) all.push_back(id);
    all.push_back(end_of_text);
  }
  return all;
}

template <class T>
uint32_t crc_as(const std::vector<int64_t>& ids) {
  const std::vector<T> narrow(ids.begin(), ids.end());
  return static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(narrow.data()), narrow.size() * sizeof(T)));
}

TEST(Tokens, BothGenerationsOfLlmcAreTheSameDocuments) {
  const auto expected = json_of(kBins / "bpe512_expected.json");
  for (const char* name : {"llmc_gpt2_bpe512_train_000001.bin", "llmc_llama3_bpe512_train_000001.bin"}) {
    const auto source = tokens(kBins / name, 0);
    EXPECT_EQ(source->size(), expected["documents"]) << name;
    auto ids = appended(*source, 0);
    EXPECT_EQ(static_cast<int64_t>(ids.size()), expected["tokens"]);
    ids.insert(ids.begin(), 0);  // llm.c puts the end of text before each document
    ids.pop_back();
    EXPECT_EQ(crc_as<uint32_t>(ids), expected["llmc_ids_crc32_as_uint32"]);
    EXPECT_THAT(source->about(), HasSubstr(name));
    EXPECT_THAT(source->about(), HasSubstr(std::string(name).find("gpt2") == std::string::npos ? "Llama 3" : "GPT-2"));
  }
}

TEST(Tokens, NanoGptIsReadWithoutAHeader) {
  const auto expected = json_of(kBins / "bpe512_expected.json");
  const auto train = tokens(kBins / "bpe512_train.bin", 0), validation = tokens(kBins / "bpe512_val.bin", 0);
  const auto ids = [](const Source& source, bool cut) {
    auto all = appended(source, 0);
    if (cut) all.pop_back();
    return all;
  };
  // The writer cut the stream at 90%, in the middle of a document.
  auto all = ids(*train, true);
  EXPECT_EQ(static_cast<int64_t>(all.size()), expected["train_tokens"]);
  for (const int64_t id : ids(*validation, false)) all.push_back(id);
  EXPECT_EQ(crc_as<uint16_t>(all), expected["nanogpt_crc32"]);
}

TEST(Tokens, TheTokenizerSaysWhichIdEndsDocuments) {
  const auto source =
      source_of("tokens", {.path = kBins / "llmc_gpt2_bpe512_train_000001.bin", .tokenizer = kFixtures / "bpe"});
  EXPECT_EQ(source->size(), 400);
  const auto tokenizer = text::load_tokenizer(kFixtures / "bpe");
  EXPECT_THAT(tokenizer->decode({421, 259, 297, 284}), HasSubstr(" "));
}

TEST(Tokens, CharactersAreOneDocumentWhereNothingEnds) {
  const auto text = read_file(kBins / "char" / "input.txt");
  const std::set<char> letters(text.begin(), text.end());
  const std::string in_order(letters.begin(), letters.end());
  std::string read;
  for (const char* name : {"train.bin", "val.bin"}) {
    const auto source = tokens(kBins / "char" / name, -1);
    ASSERT_EQ(source->size(), 1);
    for (const int64_t id : ids_of(source->get(0))) read += in_order.at(static_cast<size_t>(id));
  }
  EXPECT_EQ(read, text);
}

// Random documents, some longer than a part, against the stream they were written from.
TEST(Tokens, LongDocumentsComeInPartsThatAddUp) {
  const TemporaryFolder folder;
  Random random(5);
  for (const int64_t end_of_text : {int64_t{7}, int64_t{-1}}) {
    std::vector<uint16_t> stream;
    for (int64_t document = 0; document < 12; ++document) {
      const int64_t length = document % 3 == 0 ? random.between(200'000, 700'000) : random.between(0, 3000);
      for (int64_t i = 0; i < length; ++i) stream.push_back(static_cast<uint16_t>(random.between(8, 65535)));
      if (end_of_text >= 0 && document < 11) stream.push_back(7);
    }
    write_file_atomically(folder / "x.bin", {reinterpret_cast<const char*>(stream.data()), stream.size() * 2});
    const auto source = tokens(folder / "x.bin", end_of_text);
    std::vector<uint16_t> read;
    bool ended = true;
    for (int64_t i = 0; i < source->size(); ++i) {
      const auto episode = source->get(i);
      ASSERT_EQ(episode.starts, ended) << i;
      ASSERT_LE(ids_of(episode).size(), size_t{1} << 18);
      for (const int64_t id : ids_of(episode)) read.push_back(static_cast<uint16_t>(id));
      ended = episode.ends;
    }
    EXPECT_TRUE(ended);
    std::erase(stream, 7);
    EXPECT_EQ(read, stream);
  }
}

TEST(Tokens, WindowsOfAPartHaveASeparatorAndAnEndOnlyWhereTheDocumentHas) {
  const Sequencer sequencer(test_vocabulary(), {});
  Schema schema{.fields = {{.name = "text", .modality = Modality::kText, .role = Role::kText}}};
  const auto tokenizer = test_tokenizer();
  const WindowCutter cutter(std::make_shared<const Schema>(schema), {.context = 20}, *tokenizer, sequencer);
  for (const auto& [starts, ends] : {std::pair{true, true}, {true, false}, {false, true}, {false, false}}) {
    Episode episode{.num_steps = 1, .id = "part", .starts = starts, .ends = ends};
    episode.fields = {{at::arange(50, at::kLong).unsqueeze(0), {}}};
    const auto samples = cutter.all(episode);
    EXPECT_EQ(samples.front().timesteps.starts, starts);
    EXPECT_EQ(samples.back().timesteps.ends, ends);
    int64_t next = 0;
    for (const auto& sample : samples) {
      EXPECT_LE(sequencer.num_tokens(sample), 20);
      const auto ids = sample.timesteps.fields[0].tokens.view({-1});
      EXPECT_EQ(ids[0].item<int64_t>(), std::max<int64_t>(0, next - 1)) << "parts overlap by a token";
      next = ids[-1].item<int64_t>() + 1;
    }
    EXPECT_EQ(next, 50);
  }
  Episode other{.num_steps = 1, .id = "other"};
  other.fields = {{at::tensor({3, 256}, at::kLong).unsqueeze(0), {}}};
  EXPECT_THAT(message_of([&] { cutter.all(other); }),
              HasSubstr("field 'text' of 'other' has the text id 256, the text tokenizer has 256"));
}

TEST(Tokens, FilesThatAreNoneAreErrors) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& bytes, const std::string& type = "auto") {
    write_file_atomically(folder / "x.bin", bytes);
    return message_of([&] { tokens(folder / "x.bin", 0, type); });
  };
  const auto header = [](int32_t magic, int32_t version, int32_t count, size_t bytes) {
    std::string file(1024 + bytes, '\0');
    const int32_t words[] = {magic, version, count};
    std::memcpy(file.data(), words, sizeof words);
    return file;
  };
  EXPECT_THAT(refusal(""), HasSubstr("0 bytes are no ids"));
  EXPECT_THAT(refusal("abc"), HasSubstr("3 bytes are no ids of 2 bytes each"));
  EXPECT_THAT(refusal("abcdef", "uint32"), HasSubstr("6 bytes are no ids of 4 bytes each"));
  EXPECT_THAT(refusal(header(20240520, 1, 100, 198)), HasSubstr("the header says 100 ids, the file has room for 99"));
  EXPECT_THAT(refusal(header(20240801, 7, 100, 200)), HasSubstr("the header says 100 ids, the file has room for 50"));
  EXPECT_THAT(refusal(header(20240520, 7, 1, 2)), HasSubstr("version 7, not 1"));
  EXPECT_THAT(refusal(header(20240520, 1, -5, 0)), HasSubstr("the header says -5 ids"));
  EXPECT_THAT(refusal(header(20240522, 1, 0, 0)), HasSubstr("an evaluation"));
  EXPECT_THAT(refusal(header(20240328, 2, 0, 0)), HasSubstr("a tokenizer"));
  EXPECT_THAT(message_of([&] { tokens(folder / "none.bin", 0); }), HasSubstr("none.bin"));
  EXPECT_THAT(message_of([&] { tokens("", 0); }), HasSubstr("needs the key 'path'"));
}

}  // namespace
}  // namespace mugato::data
