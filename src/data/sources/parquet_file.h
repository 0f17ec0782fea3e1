// Parquet as our sources read it: columns of numbers, texts and encoded images, row by row or many rows at once, in pieces of
// bounded size however large the row groups are.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "column_values.h"
#include "mugato/data/run_cache.h"
#include "mugato/data/source.h"
#include "storage.h"

namespace mugato::data {

struct ParquetColumn {
  enum class Kind {
    kNumber,
    kText,
    kBytes,
    kImage,  // encoded bytes in a struct {bytes, path}, as Hugging Face's `datasets` writes images
    kOther,  // nothing that we read
  };
  std::string name;
  Kind kind = Kind::kOther;
  at::ScalarType number = at::kFloat;  // kNumber alone
  int64_t depth = 0;                   // levels of lists around it
  std::string type;                    // as Arrow calls it

  bool is_one_number() const { return kind == Kind::kNumber && depth == 0; }
};
const char* name_of(ParquetColumn::Kind kind);

// Rows one after the other. Throws Error that names file, column and row for a value that is missing, lists of one row that
// differ in length, and what cannot be decoded.
class ParquetStream {
 public:
  virtual ~ParquetStream() = default;

  // The next `count` rows: per column, a value a row. TORCH_CHECK that there are so many.
  virtual std::vector<ColumnValues> take(int64_t count) = 0;

  // The next row: per column, its list's elements, or its one value.
  virtual std::vector<ColumnValues> take_row() = 0;
};

// An open file. Opening reads the footer alone.
class ParquetFile {
 public:
  virtual ~ParquetFile() = default;

  // Throws Error for what is not Parquet or cut off.
  static std::shared_ptr<const ParquetFile> open(const Storage& storage, const std::string& path);

  virtual const std::string& name() const = 0;
  virtual const std::vector<ParquetColumn>& columns() const = 0;
  virtual const std::vector<int64_t>& row_groups() const = 0;  // rows of each
  int64_t num_rows() const;

  bool has(const std::string& column) const;
  const ParquetColumn& column(const std::string& name) const;  // throws Error with the nearest name

  // Bytes of a row of these columns, uncompressed, on average; at least 1.
  virtual int64_t bytes_per_row(const std::vector<std::string>& columns) const = 0;

  // Lowest and highest value of a column of numbers, at any depth; nothing when the footer does not say.
  virtual std::optional<std::pair<double, double>> range(const std::string& column) const = 0;

  // The rows of row groups [first, last) of these columns. A piece of `batch_rows` rows is decoded at a time.
  virtual std::unique_ptr<ParquetStream> rows(const std::vector<std::string>& columns, int64_t first, int64_t last,
                                              int64_t batch_rows) const = 0;
};

// Pieces of a data set that are read and kept together: of some megabytes, and few enough that all of them stay bounded.
struct PieceSize {
  int64_t rows = 1;
  size_t max_pieces = 1;
  static PieceSize of(int64_t bytes_per_row);
};

// Rows of all the files of a data set, by index, through a RunCache whose runs are the row groups. Thread-safe.
//
//   ParquetRows rows("wiki/*.parquet", {"text"});   // s3://bucket/wiki, a folder, a file
//   rows.require("text", ParquetColumn::Kind::kText, /*depth=*/0);
//   rows.get(i)->at(0).strings[0];
class ParquetRows {
 public:
  using Row = std::vector<ColumnValues>;  // parallel to the columns

  // Every file has to have these columns, of the same types as in the first.
  ParquetRows(Storage storage, std::vector<std::string> files, std::vector<std::string> columns);
  ParquetRows(const std::string& path, std::vector<std::string> columns);  // the *.parquet that the path means
  ParquetRows(const ParquetRows&) = delete;
  ParquetRows& operator=(const ParquetRows&) = delete;

  int64_t size() const { return cache_->size(); }
  ReadingOrder reading_order() const { return cache_->order(); }
  std::shared_ptr<const Row> get(int64_t index) { return cache_->get(index); }
  std::string name_of(int64_t index) const;  // "train.parquet row 17"

  const std::vector<ParquetColumn>& columns() const { return columns_; }                   // as asked for
  size_t index_of(const std::string& column) const;                                        // TORCH_CHECK
  void require(const std::string& column, ParquetColumn::Kind kind, int64_t depth) const;  // throws Error
  std::string about() const;                                                               // JSON: files and rows

  // Lowest and highest value of a column of numbers: as the footers say, or else of all values.
  std::pair<double, double> range(const std::string& column) const;

 private:
  struct Group {
    size_t file;
    int64_t number, first_row;  // within the file
  };
  RunCache<Row>::Next open_group(int64_t run) const;

  Storage storage_;
  std::vector<std::string> files_, names_;
  std::vector<ParquetColumn> columns_;
  std::vector<Group> groups_;
  int64_t batch_rows_ = 1;
  std::unique_ptr<RunCache<Row>> cache_;
};

}  // namespace mugato::data
