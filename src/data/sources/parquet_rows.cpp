#if MUGATO_ARROW

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "mugato/core/error.h"
#include "parquet_file.h"

namespace mugato::data {
namespace {

constexpr int64_t kPieceBytes = 2 << 20, kAllPieces = 128 << 20;
constexpr int64_t kMaxRows = 8192, kMaxPieces = 32;

bool same_type(const ParquetColumn& a, const ParquetColumn& b) {
  return a.kind == b.kind && a.depth == b.depth && (a.kind != ParquetColumn::Kind::kNumber || a.number == b.number);
}

}  // namespace

PieceSize PieceSize::of(int64_t bytes_per_row) {
  PieceSize size;
  size.rows = std::clamp<int64_t>(kPieceBytes / bytes_per_row, 1, kMaxRows);
  size.max_pieces = static_cast<size_t>(std::clamp<int64_t>(kAllPieces / (size.rows * bytes_per_row), 2, kMaxPieces));
  return size;
}

ParquetRows::ParquetRows(const std::string& path, std::vector<std::string> columns)
    : ParquetRows(Storage(path), Storage(path).find(".parquet"), std::move(columns)) {}

ParquetRows::ParquetRows(Storage storage, std::vector<std::string> files, std::vector<std::string> columns)
    : storage_(std::move(storage)), files_(std::move(files)) {
  ReadingOrder order;
  int64_t bytes_per_row = 1;
  for (size_t i = 0; i < files_.size(); ++i) {
    const auto file = ParquetFile::open(storage_, files_[i]);
    names_.push_back(std::filesystem::path(files_[i]).filename());
    for (size_t k = 0; k < columns.size(); ++k) {
      const auto& column = file->column(columns[k]);
      if (i == 0) columns_.push_back(column);
      if (!same_type(column, columns_[k]))
        throw Error(file->name() + " column '" + column.name + "' is " + column.type + ", in " + storage_.name_of(files_[0]) +
                        " it is " + columns_[k].type,
                    "the files of one source have to have the same columns");
    }
    bytes_per_row = std::max(bytes_per_row, file->bytes_per_row(columns));
    int64_t row = 0;
    for (size_t group = 0; group < file->row_groups().size(); ++group) {
      if (file->row_groups()[group] == 0) continue;
      order.runs.push_back(file->row_groups()[group]);
      groups_.push_back({i, static_cast<int64_t>(group), row});
      row += order.runs.back();
    }
  }
  if (order.runs.empty()) throw Error(storage_.name_of(files_[0]) + " has no row", "see the key path");
  const auto piece = PieceSize::of(bytes_per_row);
  order.block = batch_rows_ = piece.rows;
  cache_ = std::make_unique<RunCache<Row>>(
      std::move(order), [this](int64_t run) { return open_group(run); }, piece.max_pieces);
}

RunCache<ParquetRows::Row>::Next ParquetRows::open_group(int64_t run) const {
  const auto& group = groups_[static_cast<size_t>(run)];
  std::vector<std::string> names;
  for (const auto& column : columns_) names.push_back(column.name);
  const auto file = ParquetFile::open(storage_, files_[group.file]);
  if (group.number >= static_cast<int64_t>(file->row_groups().size()))
    throw Error(file->name() + " has changed while it was being read", "leave data files as they are during a run");
  std::shared_ptr<ParquetStream> stream = file->rows(names, group.number, group.number + 1, batch_rows_);
  return [stream]() -> std::optional<Row> { return stream->take_row(); };
}

std::string ParquetRows::name_of(int64_t index) const {
  const int64_t run = cache_->run_of(index);
  const auto& group = groups_[static_cast<size_t>(run)];
  return names_[group.file] + " row " + std::to_string(group.first_row + index - cache_->begin_of(run));
}

size_t ParquetRows::index_of(const std::string& name) const {
  for (size_t i = 0; i < columns_.size(); ++i)
    if (columns_[i].name == name) return i;
  TORCH_CHECK(false, "the column '", name, "' was not asked for");
}

void ParquetRows::require(const std::string& name, ParquetColumn::Kind kind, int64_t depth) const {
  const auto& column = columns_[index_of(name)];
  if (column.kind != kind || column.depth != depth)
    throw Error(storage_.name_of(files_[0]) + " column '" + name + "' is " + column.type + ", and has to be " +
                    mugato::data::name_of(kind) + (depth == 0 ? "" : " in " + std::to_string(depth) + " levels of lists"),
                "is it the right column?");
}

std::string ParquetRows::about() const { return nlohmann::json{{"files", files_.size()}, {"rows", size()}}.dump(); }

std::pair<double, double> ParquetRows::range(const std::string& column) const {
  auto low = std::numeric_limits<double>::infinity(), high = -low;
  const auto widen = [&](double from, double to) { low = std::min(low, from), high = std::max(high, to); };
  for (const auto& path : files_) {
    const auto file = ParquetFile::open(storage_, path);
    if (const auto known = file->range(column)) {
      widen(known->first, known->second);
      continue;
    }
    const auto stream = file->rows({column}, 0, static_cast<int64_t>(file->row_groups().size()), batch_rows_);
    for (int64_t row = 0; row < file->num_rows(); ++row) {
      const auto numbers = stream->take_row()[0].numbers.to(at::kDouble);
      if (numbers.numel() > 0) widen(numbers.min().item<double>(), numbers.max().item<double>());
    }
  }
  return {low, high};
}

}  // namespace mugato::data

#endif  // MUGATO_ARROW
