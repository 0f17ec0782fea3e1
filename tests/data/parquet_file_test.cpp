#if MUGATO_ARROW

#include "src/data/sources/parquet_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "data/read_json.h"
#include "message_of.h"
#include "mugato/core/random.h"
#include "temporary_folder.h"

namespace mugato::data {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using ::testing::SizeIs;
using testing::TemporaryFolder;
using Kind = ParquetColumn::Kind;

const std::string kFolder = std::string(MUGATO_FIXTURES) + "/parquet";
const std::string kTypes = kFolder + "/types.parquet";

json numbers_of(const at::Tensor& values) {
  if (values.dim() == 0) {
    if (values.scalar_type() == at::kBool) return values.item<bool>();
    return at::isFloatingType(values.scalar_type()) ? json(values.item<double>()) : json(values.to(at::kLong).item<int64_t>());
  }
  auto all = json::array();
  for (int64_t i = 0; i < values.size(0); ++i) all.push_back(numbers_of(values[i]));
  return all;
}

json as_json(const ColumnValues& values, Kind kind) {
  if (kind == Kind::kNumber) return numbers_of(values.numbers);
  if (kind == Kind::kText) return values.strings;
  auto all = json::array();
  for (const auto& text : values.strings) all.push_back(std::vector<uint8_t>(text.begin(), text.end()));
  return all;
}

// The row as pyarrow has it: a column without lists is a single value.
json cell(const ColumnValues& values, const ParquetColumn& column) {
  const auto all = as_json(values, column.kind);
  return column.depth == 0 ? all.at(0) : all;
}

std::vector<std::string> names_in(const json& expected) {
  std::vector<std::string> names;
  for (const auto& [name, values] : expected.items()) names.push_back(name);
  return names;
}

TEST(ParquetRows, ReadsEveryTypeAsPyarrowDoesInAnyOrder) {
  const auto expected = testing::read_json(kFolder + "/types.json");
  ParquetRows rows(kTypes, names_in(expected));
  ASSERT_EQ(rows.size(), 23);
  EXPECT_THAT(rows.reading_order().runs, ElementsAre(7, 7, 7, 2));
  EXPECT_EQ(rows.name_of(8), "types.parquet row 8");
  Random random(5);
  for (int draw = 0; draw < 60; ++draw) {
    const auto index = draw < 23 ? draw : random.below(23);
    const auto row = rows.get(index);
    for (size_t i = 0; i < row->size(); ++i) {
      const auto& column = rows.columns()[i];
      EXPECT_EQ(cell(row->at(i), column), expected.at(column.name).at(static_cast<size_t>(index)))
          << column.name << " " << index;
    }
  }
}

TEST(ParquetRows, KeepsTheTypesOfNumbers) {
  ParquetRows rows(kTypes, {"uint8", "float16", "nested", "flags"});
  const auto row = rows.get(2);
  EXPECT_EQ(row->at(0).numbers.scalar_type(), at::kByte);
  EXPECT_EQ(row->at(1).numbers.scalar_type(), at::kHalf);
  EXPECT_EQ(row->at(2).numbers.sizes(), (std::vector<int64_t>{2, 3, 2}));
  EXPECT_EQ(row->at(3).numbers.scalar_type(), at::kBool);
}

TEST(ParquetFile, TakesManyRowsAcrossBatchesAndRowGroups) {
  const auto file = ParquetFile::open(Storage(kTypes), kTypes);
  for (const int64_t batch : {1, 3, 100}) {
    const auto stream = file->rows({"int64", "fixed_list", "text"}, 0, 4, batch);
    int64_t begin = 0;
    for (const int64_t count : {1, 9, 11, 2}) {
      const auto taken = stream->take(count);
      EXPECT_EQ(taken[0].numbers.sizes(), std::vector<int64_t>{count});
      EXPECT_EQ(taken[1].numbers.sizes(), (std::vector<int64_t>{count, 2}));
      ASSERT_THAT(taken[2].strings, SizeIs(static_cast<size_t>(count)));
      for (int64_t i = 0; i < count; ++i) {
        EXPECT_EQ(taken[1].numbers[i][1].item<double>(), static_cast<double>(-(begin + i)));
        EXPECT_EQ(taken[2].strings[static_cast<size_t>(i)], "row " + std::to_string(begin + i) + ": äöü");
      }
      begin += count;
    }
    EXPECT_THAT(message_of([&] { stream->take(1); }), HasSubstr("ends after 23 rows"));
  }
}

TEST(ParquetFile, KnowsRangesFromTheFooterOrTheValues) {
  ParquetRows rows(kTypes, {"fixed_list", "uint32", "int16"});
  EXPECT_EQ(rows.range("fixed_list"), (std::pair<double, double>(-22, 22)));
  const auto expected = testing::read_json(kFolder + "/types.json");
  for (const std::string name : {"uint32", "int16"}) {  // the footer has unsigned numbers as signed ones: these are read
    const auto values = expected.at(name).get<std::vector<double>>();
    EXPECT_EQ(rows.range(name),
              (std::pair(*std::min_element(values.begin(), values.end()), *std::max_element(values.begin(), values.end()))));
  }
  EXPECT_FALSE(ParquetFile::open(Storage(kTypes), kTypes)->range("uint32"));
}

TEST(ParquetRows, IsReadFromSeveralThreads) {
  ParquetRows rows(kTypes, {"text"});
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (uint64_t seed = 0; seed < 4; ++seed)
    threads.emplace_back([&rows, &wrong, seed] {
      Random random(seed);
      for (int i = 0; i < 50; ++i) {
        const auto index = random.below(23);
        wrong += rows.get(index)->at(0).strings[0] != "row " + std::to_string(index) + ": äöü";
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ParquetRows, NamesWhatIsMissingOrOfAnotherType) {
  EXPECT_THAT(message_of([] { ParquetRows(kTypes, {"txet"}); }),
              HasSubstr("types.parquet has no column 'txet'\nhint: did you mean 'text'?"));
  EXPECT_THAT(message_of([] { ParquetRows(kTypes, {"int8"}).require("int8", Kind::kText, 0); }),
              HasSubstr("types.parquet column 'int8' is int8, and has to be text"));
  EXPECT_THAT(message_of([] { ParquetRows({kFolder + "/no_rows.parquet"}, {"rewards"}); }), HasSubstr("has no row"));
}

TEST(ParquetRows, RefusesWhatItCannotRead) {
  EXPECT_THAT(message_of([] { ParquetRows(kTypes, {"date"}).get(0); }), HasSubstr("column 'date' is date32"));
  EXPECT_THAT(message_of([] { ParquetRows(kFolder + "/nulls.parquet", {"discrete_actions"}).get(1); }),
              HasSubstr("nulls.parquet column 'discrete_actions', row 1: a value is missing"));
  EXPECT_THAT(message_of([] { ParquetRows(kFolder + "/ragged.parquet", {"continuous_observations"}).get(1); }),
              HasSubstr("column 'continuous_observations', row 1: lists of"));
}

TEST(ParquetFile, RefusesBytesThatAreCutOffOrNoParquet) {
  const TemporaryFolder folder;
  const auto whole = read_file(kTypes);
  const auto path = (folder / "cut.parquet").string();
  for (const double share : {0.0, 0.1, 0.5, 0.9, 0.999}) {
    const auto size = static_cast<size_t>(share * static_cast<double>(whole.size()));
    std::ofstream(path, std::ios::binary).write(whole.data(), static_cast<std::streamsize>(size));
    EXPECT_THAT(message_of([&] { ParquetFile::open(Storage(path), path); }), HasSubstr("cut.parquet")) << share;
  }
  std::ofstream(path) << std::string(5000, 'x');
  EXPECT_THAT(message_of([&] { ParquetFile::open(Storage(path), path); }), HasSubstr("cut.parquet"));
}

// Every byte in turn is changed: what comes is an Error or some rows, never a crash.
TEST(ParquetRows, SurvivesBrokenBytes) {
  const TemporaryFolder folder;
  const auto whole = read_file(kFolder + "/whole.parquet");
  const auto path = (folder / "broken.parquet").string();
  Random random(1);
  int refused = 0;
  for (int trial = 0; trial < 300; ++trial) {
    auto bytes = whole;
    bytes[static_cast<size_t>(random.below(static_cast<int64_t>(bytes.size())))] ^= static_cast<char>(1 << random.below(8));
    std::ofstream(path, std::ios::binary) << bytes;
    try {
      ParquetRows rows(path, {"rewards", "discrete_actions", "continuous_observations"});
      for (int64_t i = 0; i < std::min<int64_t>(rows.size(), 4); ++i) rows.get(i);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 20);
}

TEST(Storage, FindsFilesFoldersAndPatterns) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "a/b");
  for (const char* name : {"a/1.parquet", "a/2.parquet", "a/b/3.parquet", "a/_4.parquet", "a/.5.parquet", "a/6.json"})
    std::ofstream(folder / name) << "x";
  const auto found = [&](const std::string& path) {
    std::vector<std::string> names;
    for (const auto& file : Storage((folder / path).string()).find(".parquet"))
      names.push_back(std::filesystem::path(file).filename());
    return names;
  };
  EXPECT_THAT(found("a"), ElementsAre("1.parquet", "2.parquet", "3.parquet"));
  EXPECT_THAT(found("a/6.json"), ElementsAre("6.json"));
  EXPECT_THAT(found("a/*.parquet"), ElementsAre("1.parquet", "2.parquet", "_4.parquet"));
  EXPECT_THAT(found("*/[1-9].parquet"), ElementsAre("1.parquet", "2.parquet"));
  EXPECT_THAT(found("*/*/?.parquet"), ElementsAre("3.parquet"));
  EXPECT_THAT(Storage("file://" + (folder / "a").string()).find(".parquet"), SizeIs(3));
  EXPECT_THAT(message_of([&] { found("a/9.parquet"); }), HasSubstr("there is no file or folder"));
  EXPECT_THAT(message_of([&] { found("a/9*"); }), HasSubstr("matches no file"));
  EXPECT_THAT(message_of([&] { Storage("https://user:secret@host/x?key=secret"); }),
              ::testing::AllOf(HasSubstr("https://host/x cannot be read"), ::testing::Not(HasSubstr("secret"))));
}

TEST(Storage, ReadsLines) {
  const TemporaryFolder folder;
  const auto path = (folder / "lines.jsonl").string();
  std::string text, longest(3'000'000, 'y');
  text = "one\n\n" + longest + "\r\n \nlast";
  std::ofstream(path, std::ios::binary) << text;
  std::vector<std::pair<size_t, int64_t>> lines;
  Storage(path).for_each_line(path, 4 << 20,
                              [&](std::string_view line, int64_t number) { lines.emplace_back(line.size(), number); });
  EXPECT_EQ(lines, (std::vector<std::pair<size_t, int64_t>>{{3, 1}, {3'000'001, 3}, {4, 5}}));
  EXPECT_THAT(message_of([&] { Storage(path).for_each_line(path, 1 << 20, [](auto, auto) {}); }),
              HasSubstr("line 3 has more than"));
  EXPECT_THAT(message_of([&] { Storage(path).read(path, 100); }), HasSubstr("more than the 100"));
}

}  // namespace
}  // namespace mugato::data

#endif  // MUGATO_ARROW
