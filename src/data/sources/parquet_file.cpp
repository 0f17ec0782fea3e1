#if MUGATO_ARROW

#include "parquet_file.h"

#include <arrow/io/interfaces.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <parquet/size_statistics.h>
#include <parquet/statistics.h>

#include <numeric>

#include "arrow_status.h"
#include "arrow_values.h"
#include "mugato/core/error.h"
#include "mugato/core/registry.h"
#include "mugato/core/text.h"

namespace mugato::data {
namespace {

constexpr int64_t kMaxMemory = int64_t{1} << 30;  // of one open file: what a broken page may claim at most
constexpr int64_t kMaxRows = int64_t{1} << 40;    // of a row group: so that sums stay far from the largest number
constexpr int64_t kLocalBuffer = 64 << 10, kRemoteBuffer = 1 << 20;

const char* const kBroken = "the file may be cut off, or no Parquet: make or download it again";

// What Parquet's library throws, as our Error.
template <class Action>
auto caught(const std::string& where, const Action& action) {
  try {
    return action();
  } catch (const parquet::ParquetException& broken) {
    throw Error(where + ": " + broken.what(), kBroken);
  }
}

struct Memory {
  arrow::CappedMemoryPool pool{arrow::default_memory_pool(), kMaxMemory};
};

std::unique_ptr<parquet::arrow::FileReader> open_reader(std::shared_ptr<arrow::io::RandomAccessFile> file, bool remote,
                                                        std::shared_ptr<parquet::FileMetaData> footer, int64_t batch_rows,
                                                        Memory& memory, const std::string& name) {
  parquet::ReaderProperties properties(&memory.pool);
  properties.enable_buffered_stream();  // or a row group's whole columns are read into memory
  properties.set_buffer_size(remote ? kRemoteBuffer : kLocalBuffer);
  parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/false);
  arrow_properties.set_batch_size(batch_rows);
  arrow_properties.set_pre_buffer(false);
  parquet::arrow::FileReaderBuilder builder;
  check(builder.Open(std::move(file), properties, std::move(footer)), name, kBroken);
  return value_of(builder.memory_pool(&memory.pool)->properties(arrow_properties)->Build(), name, kBroken);
}

class Stream : public ParquetStream {
 public:
  Stream(std::shared_ptr<Memory> memory, std::unique_ptr<parquet::arrow::FileReader> file, const std::vector<int>& groups,
         const std::vector<int>& leaves, std::vector<std::string> columns, std::string name, int64_t row)
      : memory_(std::move(memory)), file_(std::move(file)), columns_(std::move(columns)), name_(std::move(name)), row_(row) {
    batches_ = value_of(file_->GetRecordBatchReader(groups, leaves), name_, kBroken);
  }

  std::vector<ColumnValues> take(int64_t count) override {
    std::vector<std::vector<at::Tensor>> pieces(columns_.size());
    std::vector<ColumnValues> taken(columns_.size());
    do {
      fill();
      const int64_t part = std::min(count, batch_->num_rows() - offset_);
      for (size_t i = 0; i < columns_.size(); ++i) {
        auto values = values_of(column(i), offset_, part, where(i));
        if (values.numbers.defined()) pieces[i].push_back(std::move(values.numbers));
        std::move(values.strings.begin(), values.strings.end(), std::back_inserter(taken[i].strings));
      }
      advance(part);
      count -= part;
    } while (count > 0);
    for (size_t i = 0; i < columns_.size(); ++i)
      if (!pieces[i].empty()) taken[i].numbers = joined(pieces[i], i);
    return taken;
  }

  std::vector<ColumnValues> take_row() override {
    fill();
    std::vector<ColumnValues> taken;
    for (size_t i = 0; i < columns_.size(); ++i) taken.push_back(elements_of(column(i), offset_, where(i)));
    advance(1);
    return taken;
  }

 private:
  // A batch with a row that was not taken yet.
  void fill() {
    while (!batch_ || offset_ == batch_->num_rows()) {
      offset_ = 0;
      const auto at_row = name_ + " row " + std::to_string(row_);
      caught(at_row, [&] { check(batches_->ReadNext(&batch_), at_row, kBroken); });
      if (!batch_) throw Error(name_ + " ends after " + std::to_string(row_) + " rows, its footer says more", kBroken);
    }
  }

  void advance(int64_t count) {
    offset_ += count;
    row_ += count;
  }

  const arrow::Array& column(size_t i) {
    const auto found = batch_->GetColumnByName(columns_[i]);  // the batch owns it
    if (!found) throw Error(name_ + " has two columns '" + columns_[i] + "'", "columns need names of their own");
    return *found;
  }

  at::Tensor joined(const std::vector<at::Tensor>& pieces, size_t i) const {
    for (const auto& piece : pieces)
      if (piece.sizes().slice(1) != pieces[0].sizes().slice(1))
        throw Error(where(i) + ": lists of different lengths in consecutive rows", "the rows have to have values of one shape");
    return pieces.size() == 1 ? pieces[0] : at::cat(pieces);
  }

  std::string where(size_t i) const { return name_ + " column '" + columns_[i] + "', row " + std::to_string(row_); }

  std::shared_ptr<Memory> memory_;  // outlives what was allocated from it
  std::unique_ptr<parquet::arrow::FileReader> file_;
  std::vector<std::string> columns_;
  std::string name_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  int64_t offset_ = 0;  // in the batch
  int64_t row_;         // in the file
};

template <class Type>
std::pair<double, double> limits(const parquet::Statistics& statistics) {
  const auto& typed = static_cast<const parquet::TypedStatistics<Type>&>(statistics);
  return {static_cast<double>(typed.min()), static_cast<double>(typed.max())};
}

std::optional<std::pair<double, double>> limits_of(const parquet::ColumnChunkMetaData& chunk) {
  const auto statistics = chunk.statistics();
  if (!statistics || !statistics->HasMinMax()) return std::nullopt;
  switch (statistics->physical_type()) {
    case parquet::Type::BOOLEAN:
      return limits<parquet::BooleanType>(*statistics);
    case parquet::Type::INT32:
      return limits<parquet::Int32Type>(*statistics);
    case parquet::Type::INT64:
      return limits<parquet::Int64Type>(*statistics);
    case parquet::Type::FLOAT:
      return limits<parquet::FloatType>(*statistics);
    case parquet::Type::DOUBLE:
      return limits<parquet::DoubleType>(*statistics);
    default:
      return std::nullopt;
  }
}

// What a column of a row group takes in memory. Its encoded size says little where values repeat.
double decoded_bytes(const parquet::ColumnChunkMetaData& chunk) {
  const bool is_text = chunk.type() == parquet::Type::BYTE_ARRAY;
  const double values = static_cast<double>(chunk.num_values()) * (is_text ? sizeof(std::string) : 8);
  const auto sizes = is_text ? chunk.size_statistics() : nullptr;
  if (sizes && sizes->unencoded_byte_array_data_bytes)
    return static_cast<double>(*sizes->unencoded_byte_array_data_bytes) + values;
  return std::max(static_cast<double>(chunk.total_uncompressed_size()), values);
}

class File : public ParquetFile {
 public:
  File(const Storage& storage, const std::string& path)
      : name_(storage.name_of(path)), remote_(storage.is_remote()), file_(storage.open(path)) {
    const auto reader = open_reader(file_, remote_, nullptr, 1, *memory_, name_);
    footer_ = reader->parquet_reader()->metadata();
    std::shared_ptr<arrow::Schema> schema;
    check(reader->GetSchema(&schema), name_, kBroken);
    for (const auto& field : schema->fields()) columns_.push_back(column_of(*field));
    for (int i = 0; i < footer_->num_row_groups(); ++i) {
      row_groups_.push_back(footer_->RowGroup(i)->num_rows());
      if (row_groups_.back() < 0 || row_groups_.back() > kMaxRows)
        throw Error(name_ + ": a row group of " + std::to_string(row_groups_.back()) + " rows", kBroken);
    }
  }

  const std::string& name() const override { return name_; }
  const std::vector<ParquetColumn>& columns() const override { return columns_; }
  const std::vector<int64_t>& row_groups() const override { return row_groups_; }

  int64_t bytes_per_row(const std::vector<std::string>& columns) const override {
    const auto leaves = leaves_of(columns);
    double bytes = 0;
    for (int group = 0; group < footer_->num_row_groups(); ++group)
      for (const int leaf : leaves) bytes += caught(name_, [&] { return decoded_bytes(*chunk(group, leaf)); });
    return std::max<int64_t>(1, std::llround(std::min(bytes / static_cast<double>(std::max<int64_t>(num_rows(), 1)), 1e15)));
  }

  std::optional<std::pair<double, double>> range(const std::string& name) const override {
    const auto type = column(name).number;
    if (type == at::kUInt32 || type == at::kUInt64) return std::nullopt;  // the footer has them signed
    std::optional<std::pair<double, double>> all;
    for (int group = 0; group < footer_->num_row_groups(); ++group)
      for (const int leaf : leaves_of({name})) {
        const auto part = caught(name_, [&] { return limits_of(*chunk(group, leaf)); });
        if (!part) return std::nullopt;
        all = all ? std::pair(std::min(all->first, part->first), std::max(all->second, part->second)) : *part;
      }
    return all;
  }

  std::unique_ptr<ParquetStream> rows(const std::vector<std::string>& columns, int64_t first, int64_t last,
                                      int64_t batch_rows) const override {
    for (const auto& name : columns)
      if (column(name).kind == ParquetColumn::Kind::kOther)
        throw Error(name_ + " column '" + name + "' is " + column(name).type + ", which cannot be read",
                    "numbers, texts and images can be, and lists of them");
    auto reader = open_reader(file_, remote_, footer_, batch_rows, *memory_, name_);
    std::vector<int> groups(static_cast<size_t>(last - first));
    std::iota(groups.begin(), groups.end(), static_cast<int>(first));
    const int64_t row = std::accumulate(row_groups_.begin(), row_groups_.begin() + first, int64_t{0});
    return caught(name_, [&] {
      return std::make_unique<Stream>(memory_, std::move(reader), groups, leaves_of(columns), columns, name_, row);
    });
  }

 private:
  std::unique_ptr<parquet::ColumnChunkMetaData> chunk(int group, int leaf) const {
    return footer_->RowGroup(group)->ColumnChunk(leaf);
  }

  // Parquet's columns of ours: of an image its bytes alone.
  std::vector<int> leaves_of(const std::vector<std::string>& columns) const {
    const auto& schema = *footer_->schema();
    std::vector<int> leaves;
    for (const auto& wanted : columns) {
      const bool image = column(wanted).kind == ParquetColumn::Kind::kImage;
      for (int leaf = 0; leaf < schema.num_columns(); ++leaf)
        if (schema.GetColumnRoot(leaf)->name() == wanted && (!image || schema.Column(leaf)->name() == "bytes"))
          leaves.push_back(leaf);
    }
    return leaves;
  }

  std::shared_ptr<Memory> memory_ = std::make_shared<Memory>();  // the footer allocates from it, too
  std::string name_;
  bool remote_;
  std::shared_ptr<arrow::io::RandomAccessFile> file_;
  std::shared_ptr<parquet::FileMetaData> footer_;
  std::vector<ParquetColumn> columns_;
  std::vector<int64_t> row_groups_;
};

}  // namespace

const char* name_of(ParquetColumn::Kind kind) {
  switch (kind) {
    case ParquetColumn::Kind::kNumber:
      return "numbers";
    case ParquetColumn::Kind::kText:
      return "text";
    case ParquetColumn::Kind::kBytes:
      return "bytes";
    case ParquetColumn::Kind::kImage:
      return "images";
    default:
      return "of another kind";
  }
}

std::shared_ptr<const ParquetFile> ParquetFile::open(const Storage& storage, const std::string& path) {
  return caught(storage.name_of(path), [&] { return std::make_shared<File>(storage, path); });
}

int64_t ParquetFile::num_rows() const { return std::accumulate(row_groups().begin(), row_groups().end(), int64_t{0}); }

bool ParquetFile::has(const std::string& name) const {
  return std::any_of(columns().begin(), columns().end(), [&](const auto& column) { return column.name == name; });
}

const ParquetColumn& ParquetFile::column(const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& column : columns()) {
    if (column.name == name) return column;
    names.push_back(column.name);
  }
  throw Error(this->name() + " has no column '" + name + "'",
              "did you mean '" + nearest_name(name, names) + "'? It has: " + comma_separated(names));
}

}  // namespace mugato::data

#endif  // MUGATO_ARROW
