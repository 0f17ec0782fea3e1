#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image_text.h"
#include "message_of.h"
#include "mugato/core/random.h"
#include "temporary_folder.h"

namespace mugato::data {
namespace {

using mugato::testing::message_of;
using mugato::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> texts_of(const Source& source) {
  std::vector<std::string> texts;
  for (int64_t i = 0; i < source.size(); ++i) texts.push_back(source.get(i).fields[0].text.at(0));
  return texts;
}

std::unique_ptr<Source> text(const std::string& path, const std::string& documents = "file", const std::string& field = "") {
  return source_of("text", {.path = path, .text = field, .documents = documents});
}

TEST(Text, AFileALineOrAParagraphIsADocument) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.txt", "one\r\ntwo\n\n \t\nthree\nfour");
  write_file_atomically(folder / "b.txt", "five\n");
  EXPECT_THAT(texts_of(*text(folder.path())), ElementsAre("one\r\ntwo\n\n \t\nthree\nfour", "five\n"));
  EXPECT_THAT(texts_of(*text(folder / "*.txt", "line")), ElementsAre("one", "two", "three", "four", "five"));
  EXPECT_THAT(texts_of(*text(folder / "a.txt", "blank_line")), ElementsAre("one\r\ntwo", "three\nfour"));
  EXPECT_EQ(text(folder / "a.txt", "line")->get(2).id, (folder / "a.txt").string() + " byte 13");
}

// Documents of random lengths, over many kept places, against the list they were written from.
TEST(Text, DocumentsOfLargeFilesAreFoundByTheirIndex) {
  const TemporaryFolder folder;
  Random random(6);
  std::vector<std::string> paragraphs, lines;
  std::string file = "\n\n";
  for (int i = 0; i < 3000; ++i) {
    std::string paragraph;
    for (int64_t count = random.between(1, 4); count > 0; --count) {
      std::string line(static_cast<size_t>(random.chance(0.01) ? random.between(1, 300'000) : random.between(1, 400)), ' ');
      for (auto& letter : line) letter = static_cast<char>(random.between('!', '~'));
      lines.push_back(line);
      paragraph += (paragraph.empty() ? "" : "\n") + line;
    }
    paragraphs.push_back(paragraph);
    file += paragraph + std::string(static_cast<size_t>(random.between(2, 4)), '\n');
  }
  write_file_atomically(folder / "large.txt", file);
  EXPECT_EQ(texts_of(*text(folder / "large.txt", "line")), lines);
  const auto source = text(folder / "large.txt", "blank_line");
  EXPECT_EQ(texts_of(*source), paragraphs);
  for (int i = 0; i < 300; ++i) {
    const int64_t index = random.below(source->size());
    ASSERT_EQ(source->get(index).fields[0].text[0], paragraphs[static_cast<size_t>(index)]);
  }
}

TEST(Text, PartsOfALargeFileAddUpAndCutNoCharacter) {
  const TemporaryFolder folder;
  std::string file;
  while (file.size() < 5'000'000) file += "d\xc3\xa9j\xc3\xa0 ";
  write_file_atomically(folder / "one_line.txt", file);
  const auto source = text(folder / "one_line.txt");
  ASSERT_EQ(source->size(), 4);
  std::string read;
  for (int64_t i = 0; i < source->size(); ++i) {
    const auto part = source->get(i);
    EXPECT_EQ(part.starts, i == 0);
    EXPECT_EQ(part.ends, i + 1 == source->size());
    const auto& bytes = part.fields[0].text[0];
    EXPECT_NE(static_cast<unsigned char>(bytes[0]) & 0xC0U, 0x80U);
    read += bytes;
  }
  EXPECT_EQ(read, file);
}

TEST(Text, JsonLinesHaveANamedField) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.jsonl",
                        "{\"text\": \"d\\u00e9j\\u00e0\", \"story\": \"x\"}\n\n{\"text\": \"two\\nlines\"}");
  EXPECT_THAT(texts_of(*text(folder / "a.jsonl")), ElementsAre("d\xc3\xa9j\xc3\xa0", "two\nlines"));
  const auto stories = text(folder / "a.jsonl", "file", "story");
  EXPECT_EQ(stories->get(0).fields[0].text[0], "x");
  EXPECT_THAT(message_of([&] { stories->get(1); }), HasSubstr("a.jsonl byte 42: no text in the field 'story'"));
  write_file_atomically(folder / "a.jsonl", "{\"text\": 1}\n[]\n{\"text\"");
  for (int64_t i = 0; i < 3; ++i)
    EXPECT_THAT(message_of([&] { text(folder / "a.jsonl")->get(i); }),
                HasSubstr(i == 0 ? "no text in the field 'text'" : "no JSON object"));
}

TEST(Text, WhatCannotBeReadIsAnError) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of([&] { text(folder.path()); }), HasSubstr("no .txt, .jsonl or .parquet"));
  EXPECT_THAT(message_of([&] { text(folder / "none.txt"); }), HasSubstr("none.txt"));
  EXPECT_THAT(message_of([&] { text(""); }), HasSubstr("needs the key 'path'"));
  write_file_atomically(folder / "a.txt", "a");
  write_file_atomically(folder / "b.jsonl", "{}");
  EXPECT_THAT(message_of([&] { text(folder.path()); }), HasSubstr("files of several kinds"));
  EXPECT_THAT(message_of([&] { text(folder / "a.txt", "file", "story"); }), HasSubstr("plain text has no fields"));
  EXPECT_THAT(message_of([&] { text(folder / "b.jsonl", "line"); }), HasSubstr("'documents' means nothing here"));
  write_file_atomically(folder / "long.txt", std::string(70'000'000, 'x'));
  EXPECT_THAT(message_of([&] { text(folder / "long.txt", "line"); }), HasSubstr("byte 0: a document of more than 64 MiB"));
}

}  // namespace
}  // namespace mugato::data
