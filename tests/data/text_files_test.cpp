// What the readers of image-text data share: lists of files, tables, JSON records, UTF-8, folders of images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "message_of.h"
#include "mugato/core/files.h"
#include "nested.h"
#include "src/data/csv.h"
#include "src/data/file_list.h"
#include "src/data/image_folder.h"
#include "src/data/json_records.h"
#include "src/data/parallel.h"
#include "src/data/utf8.h"
#include "temporary_folder.h"

namespace mugato::data {
namespace {

using mugato::testing::message_of;
using mugato::testing::nested;
using mugato::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Rows = std::vector<std::vector<std::string>>;

std::vector<std::string> names_of(const TemporaryFolder& folder, const std::string& path) {
  std::vector<std::string> names;
  for (const auto& file : list_files(path)) names.push_back(file.lexically_relative(folder.path()));
  return names;
}

TEST(FileList, BracesPatternsAndSeveralPaths) {
  const TemporaryFolder folder;
  make_folders(folder / "sub");
  for (const char* name :
       {"08.tar", "09.tar", "10.tar", "9.tar", "b.tar", "sub/a.tar", "{x}.tar", "odd[1].tar", "x1a", "x1b", "x2a", "x2b"})
    write_file_atomically(folder / name, "");
  const auto at = [&](const std::string& name) { return (folder / name).string(); };
  EXPECT_THAT(names_of(folder, at("{08..10}.tar")), ElementsAre("08.tar", "09.tar", "10.tar"));
  EXPECT_THAT(names_of(folder, at("{9..10}.tar")), ElementsAre("9.tar", "10.tar"));
  EXPECT_THAT(names_of(folder, at("{b,sub/a}.tar")), ElementsAre("b.tar", "sub/a.tar"));
  EXPECT_THAT(names_of(folder, at("x{1..2}{b,a}::") + at("b.tar")), ElementsAre("x1b", "x1a", "x2b", "x2a", "b.tar"));
  EXPECT_THAT(names_of(folder, at("[01]?.tar::") + at("sub/*.tar")), ElementsAre("08.tar", "09.tar", "10.tar", "sub/a.tar"));
  EXPECT_THAT(names_of(folder, at("{x}.tar")), ElementsAre("{x}.tar"));
  EXPECT_THAT(names_of(folder, at("odd[1].tar")), ElementsAre("odd[1].tar"));
}

TEST(FileList, PathsThatNameNothingOrTooMuch) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a.tar", "");
  const auto at = [&](const std::string& name) { return (folder / name).string(); };
  EXPECT_THAT(message_of([&] { list_files(at("{a,b}.tar")); }), HasSubstr("there is no file '" + at("b.tar") + "', which '"));
  EXPECT_THAT(message_of([&] { list_files(""); }), HasSubstr("there is no file ''"));
  EXPECT_THAT(message_of([&] { list_files(folder.path()); }), HasSubstr("there is no file"));
  EXPECT_THAT(message_of([&] { list_files(at("*.zip")); }), HasSubstr("no file matches"));
  EXPECT_THAT(message_of([&] { list_files(at("a.tar::") + at("*.tar")); }), HasSubstr("a.tar' twice"));
  EXPECT_THAT(message_of([&] { list_files(at("{0..999999999999}.tar")); }), HasSubstr("empty or too long"));
  EXPECT_THAT(message_of([&] { list_files(at("{7..3}.tar")); }), HasSubstr("empty or too long"));
  EXPECT_THAT(message_of([&] { list_files(at("{0..1999}{0..1999}.tar")); }), HasSubstr("more than a million"));
}

Rows rows_of(const std::filesystem::path& file, const std::string& text) {
  write_file_atomically(file, text);
  CsvReader table(file);
  Rows rows{table.columns()};
  while (auto row = table.next()) rows.push_back(*row);
  return rows;
}

TEST(Csv, QuotesLinesAndTabs) {
  const TemporaryFolder folder;
  const auto file = folder / "a.csv";
  const Rows expected{{"a", "b"}, {"1, 2", "say \"x\"\nthen y"}, {"", "it's 5\" long"}};
  EXPECT_EQ(rows_of(file, "a,b\n\"1, 2\",\"say \"\"x\"\"\nthen y\"\n,it's 5\" long"), expected);
  EXPECT_EQ(rows_of(file,
                    "\xef\xbb\xbf"
                    "a,b\r\n\"1, 2\",\"say \"\"x\"\"\nthen y\"\r\n\r\n,it's 5\" long\r\n\n"),
            expected);
  EXPECT_EQ(rows_of(file, "a\tb\n\"1, 2\tx\n"), (Rows{{"a", "b"}, {"\"1, 2", "x"}}));
  EXPECT_EQ(rows_of(file, "").front().size(), 0U);
}

TEST(Csv, WhatDoesNotFitIsNamedByItsLine) {
  const TemporaryFolder folder;
  const auto file = folder / "a.csv";
  EXPECT_THAT(message_of([&] { rows_of(file, "a,b\n\"1\n2\",x\n1,2,3\n"); }),
              HasSubstr("line 4: it has 3 columns, the first line has 2"));
  EXPECT_THAT(message_of([&] { rows_of(file, "a,b\n1,2\n\"1,2\n3,4\n"); }),
              HasSubstr("a quote in the row of line 3 is not closed"));
  EXPECT_THAT(message_of([&] { CsvReader(folder / "none.csv"); }), HasSubstr("none.csv': No such file"));
  EXPECT_THAT(message_of([&] { CsvReader(folder.path()); }), HasSubstr("it is not a regular file"));
}

TEST(JsonRecords, RecordsOfListsOneByOneAndTheRest) {
  const TemporaryFolder folder;
  const auto file = folder / "a.json";
  std::vector<std::string> seen;
  const auto see = [&](const JsonRecord& record) {
    seen.push_back(record.list + std::to_string(record.number) + record.fields.dump());
  };
  write_file_atomically(file, R"({"info": {"x": [{"y": 1}]}, "a": [{"q": [{"r": {}}]}, {}], "n": 3, "b": [{"z": null}]})");
  const auto rest = read_json_records(file, see);
  EXPECT_THAT(seen, ElementsAre(R"(a0{"q":[{"r":{}}]})", "a1{}", R"(b0{"z":null})"));
  EXPECT_EQ(rest, nlohmann::json::parse(R"({"info": {"x": [{"y": 1}]}, "a": [], "n": 3, "b": []})"));
  seen.clear();
  write_file_atomically(file, R"([{"k": {"l": [1, {}]}}, {"k": 2}])");
  EXPECT_EQ(read_json_records(file, see), nlohmann::json::array());
  EXPECT_THAT(seen, ElementsAre(R"(0{"k":{"l":[1,{}]}})", R"(1{"k":2})"));
}

TEST(JsonRecords, WhatIsBrokenIsNamed) {
  const TemporaryFolder folder;
  const auto file = folder / "a.json";
  const auto read = [&](const std::string& text) {
    write_file_atomically(file, text);
    return message_of([&] { read_json_records(file, [](const JsonRecord& record) { record.integer("id"); }); });
  };
  EXPECT_THAT(read(R"({"a": [{"id": 1}, {"id": 2})"), HasSubstr("a.json' is no JSON"));
  EXPECT_THAT(read(R"({"a": [{"id": 1}, {"id": "2"}]})"), HasSubstr("a.json', a[1]: there is no whole number 'id'"));
  EXPECT_THAT(read("[" + std::string(100'000, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(read("{\"a\": \"\xff\"}"), HasSubstr("is no JSON"));
  write_file_atomically(folder / "deep.jsonl", "{\"id\": " + nested(100'000) + "}");
  EXPECT_THAT(message_of([&] { read_json_lines(folder / "deep.jsonl", [](const JsonRecord&) {}); }),
              HasSubstr("deep.jsonl', line 1: it is nested too deeply"));
  write_file_atomically(folder / "a.jsonl", "{\"id\": 1}\n\n{\"id\": }\n");
  EXPECT_THAT(message_of([&] { read_json_lines(folder / "a.jsonl", [](const JsonRecord&) {}); }),
              HasSubstr("line 3: it is no JSON"));
  EXPECT_THAT(message_of([&] { read_json_lines(folder / "a.jsonl", [](const JsonRecord& line) { (void)line.text("id"); }); }),
              HasSubstr("a.jsonl', line 1: there is no text 'id'"));
}

TEST(Utf8, EveryCharacterAndNothingElse) {
  check_utf8("", "x");
  check_utf8("a \xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", "x");
  for (const std::string bad : {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                                "\xff", "\xc3", "\xe6\x97", "\xc3z"})
    EXPECT_THAT(message_of([&] { check_utf8("ab" + bad, "the caption"); }),
                HasSubstr("the caption: the text is not UTF-8 at byte 2"));
}

TEST(ImageFolder, MissingImagesAreCountedAndNamed) {
  const TemporaryFolder folder;
  TextNumbers files;
  for (int i = 0; i < 3000; ++i) files.number(std::to_string(i));
  EXPECT_EQ(files.number("7"), 7U);
  for (size_t i = 0; i < files.size(); ++i)
    if (i != 1500 && i != 2999) FileWriter(folder / files[i], FileWriter::Mode::kTruncate);
  EXPECT_THAT(message_of([&] { check_images(folder.path(), files); }), HasSubstr("of 3000 images in"));
  EXPECT_THAT(message_of([&] { check_images(folder.path(), files); }), HasSubstr("2 are missing, the first of them '1500'"));
  for (const char* name : {"", "/etc/hostname", "../a.jpg", "a/../../b.jpg"})
    EXPECT_THAT(message_of([&] { check_image_name(name, "line 3"); }), HasSubstr("line 3: the image '" + std::string(name)));
  check_image_name("a/b..c.jpg", "line 3");
}

TEST(Parallel, TheLowestFailureIsTheOneReported) {
  std::vector<int> done(1000);
  parallel_for_each(done.size(), most_threads(), [&](size_t i) { done[i] = 1; });
  EXPECT_EQ(std::count(done.begin(), done.end(), 1), 1000);
  parallel_for_each(0, most_threads(), [](size_t) { FAIL(); });
  for (int trial = 0; trial < 20; ++trial)
    EXPECT_THAT(message_of([] {
                  parallel_for_each(500, most_threads(), [](size_t i) {
                    if (i % 100 == 99) throw Error("shard " + std::to_string(i), "");
                  });
                }),
                "shard 99");
}

}  // namespace
}  // namespace mugato::data
