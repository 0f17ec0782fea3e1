#include "minari_storage.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "python_json.h"

#if !MUGATO_ARROW
namespace mugato::data {

std::unique_ptr<MinariStorage> open_minari_arrow(const std::filesystem::path& data, const std::string& format) {
  throw Error("'" + data.string() + "' holds " + format + ", and this mugato was built without Arrow",
              "tools/setup unpacks Arrow and Parquet; then build again");
}

}  // namespace mugato::data
#else
#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>

#include <algorithm>

#include "arrow_values.h"

namespace mugato::data {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kHint = "was the file copied whole? copy it again";

// The value of a result, or an Error in Arrow's words.
template <class Value>
Value unwrapped(arrow::Result<Value> result, const std::string& where) {
  if (result.ok()) return std::move(result).ValueUnsafe();
  const std::string why = result.status().message();
  throw Error(where + " cannot be read: " + why.substr(0, why.find('\n')), kHint);
}

using Table = std::shared_ptr<arrow::Table>;

Table read_arrow(const std::string& path) {
  const auto file = unwrapped(arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ), path);
  const auto reader = unwrapped(arrow::ipc::RecordBatchFileReader::Open(file), path);
  return unwrapped(reader->ToTable(), path);
}

// Of a Parquet file, only the columns that are asked for.
Table read_parquet(const std::string& path, std::span<const MinariLeaf> leaves) {
  const auto file = unwrapped(arrow::io::ReadableFile::Open(path), path);
  const auto reader = unwrapped(parquet::arrow::OpenFile(file, arrow::default_memory_pool()), path);
  const auto* schema = reader->parquet_reader()->metadata()->schema();
  std::vector<int> columns;
  for (int i = 0; i < schema->num_columns(); ++i) {
    const auto top = schema->Column(i)->path()->ToDotVector().front();
    if (std::any_of(leaves.begin(), leaves.end(), [&](const MinariLeaf& leaf) { return leaf.top == top; }))
      columns.push_back(i);
  }
  return unwrapped(reader->ReadTable(columns), path);
}

void check_sound(const arrow::Status& status, const std::string& where) {
  if (!status.ok()) throw Error(where + " is broken: " + status.message(), kHint);
}

void check(const arrow::Array& array, const std::string& where) {
  if (array.null_count() > 0) throw Error(where + " has rows without a value", "Minari writes every value of every timestep");
}

// The rows that count of one leaf: from the struct columns down to numbers or strings.
ColumnValues read_leaf(std::shared_ptr<arrow::Array> array, const MinariLeaf& leaf, const std::string& where) {
  std::shared_ptr<arrow::Field> field = arrow::field(leaf.top, array->type());
  for (const auto& key : leaf.path) {
    check(*array, where);
    const auto* fields = dynamic_cast<const arrow::StructArray*>(array.get());
    array = fields ? fields->GetFieldByName(key.name) : nullptr;
    if (!array)
      throw Error(where + ": there is no column '" + key.name + "' in it", "metadata.json's spaces say that there is");
    field = arrow::field(key.name, array->type());
  }
  check(*array, where);
  const auto kind = column_of(*field).kind;
  if (kind == ParquetColumn::Kind::kOther || kind == ParquetColumn::Kind::kImage)
    throw Error(where + " has values of the type " + array->type()->ToString(), "Minari writes numbers, text and JPEGs");
  auto column = values_of(*array, 0, array->length(), where);
  if (!column.numbers.defined() || column.numbers.dim() != 2) return column;
  // Lists are flat: they get the space's shape where it fits.
  std::vector<int64_t> sizes{array->length()};
  sizes.insert(sizes.end(), leaf.shape.begin(), leaf.shape.end());
  if (c10::multiply_integers(sizes) == column.numbers.numel()) column.numbers = column.numbers.view(sizes);
  return column;
}

class ArrowStorage : public MinariStorage {
 public:
  ArrowStorage(fs::path data, std::string format) : data_(std::move(data)), format_(std::move(format)) {
    std::vector<int64_t> numbers;
    for (const auto& entry : fs::directory_iterator(data_)) {
      const std::string folder = entry.path().filename().string();
      if (entry.is_directory() && folder.size() <= 18 && folder.find_first_not_of("0123456789") == std::string::npos)
        numbers.push_back(std::stoll(folder));
    }
    std::sort(numbers.begin(), numbers.end());
    check_minari_numbers(numbers, data_.string(), "");
    for (const int64_t number : numbers) steps_.push_back(read_num_steps(number));
  }

  int64_t num_episodes() const override { return static_cast<int64_t>(steps_.size()); }
  int64_t num_steps(int64_t episode) const override { return steps_[static_cast<size_t>(episode)]; }
  std::string name(int64_t episode) const override { return data_.string() + " episode " + std::to_string(episode); }

  json attributes(int64_t episode) const override {
    const auto path = folder(episode) / "metadata.json";
    return parse_python_json(read_file(path), path.string());
  }

  std::vector<ColumnValues> read(int64_t episode, std::span<const MinariLeaf> leaves) const override {
    const std::string path = file(episode);
    const auto table = format_ == "parquet" ? read_parquet(path, leaves) : read_arrow(path);
    check_sound(table->Validate(), path);
    const int64_t steps = num_steps(episode);
    if (table->num_rows() != steps + 1)
      throw Error(path + " has " + std::to_string(table->num_rows()) + " rows, not " + std::to_string(steps + 1) +
                      ": the total_steps of its metadata.json is " + std::to_string(steps),
                  "the rows are the timesteps and one more; was the writer interrupted?");
    std::vector<ColumnValues> columns;
    for (const auto& leaf : leaves) {
      const std::string where = path + ": '" + leaf.name() + "'";
      const auto chunks = table->GetColumnByName(leaf.top);
      if (!chunks)
        throw Error(path + " has no column '" + leaf.top + "'", "Minari writes it; was the file made by another program?");
      check_sound(chunks->ValidateFull(), where);  // the file says lengths and offsets
      const auto whole = chunks->num_chunks() == 1 ? chunks->chunk(0) : unwrapped(arrow::Concatenate(chunks->chunks()), where);
      columns.push_back(read_leaf(whole->Slice(0, leaf.num_rows(steps)), leaf, where));
    }
    return columns;
  }

 private:
  fs::path folder(int64_t episode) const { return data_ / std::to_string(episode); }

  int64_t read_num_steps(int64_t episode) const {
    const auto found = attributes(episode);
    const auto path = (folder(episode) / "metadata.json").string();
    if (!found.is_object() || !found.contains("total_steps") || !found["total_steps"].is_number_integer() ||
        found["total_steps"].get<int64_t>() < 1 || found["total_steps"].get<int64_t>() >= INT64_MAX)
      throw Error(path + " has no 'total_steps' that is a whole number from 1 on", "was the data set written by Minari?");
    return found["total_steps"].get<int64_t>();
  }

  // The one file of an episode; Arrow's own rule of what is none.
  std::string file(int64_t episode) const {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(folder(episode))) {
      const std::string file = entry.path().filename().string();
      if (entry.path().extension() == "." + format_ && file[0] != '_' && file[0] != '.') files.push_back(entry.path().string());
    }
    if (files.size() == 1) return files.front();
    throw Error("'" + folder(episode).string() + "' has " + std::to_string(files.size()) + " files ." + format_ + ", not one",
                "Minari writes part-0." + format_ + "; copy the data set again");
  }

  fs::path data_;
  std::string format_;
  std::vector<int64_t> steps_;
};

}  // namespace

std::unique_ptr<MinariStorage> open_minari_arrow(const fs::path& data, const std::string& format) {
  return std::make_unique<ArrowStorage>(data, format);
}

}  // namespace mugato::data
#endif
