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
#include <cstring>

namespace mugato::data {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kHint = "was the file copied whole? copy it again";

// The value of a result, or an Error in Arrow's words.
template <class Value>
Value value_of(arrow::Result<Value> result, const std::string& where) {
  if (result.ok()) return std::move(result).ValueUnsafe();
  const std::string why = result.status().message();
  throw Error(where + " cannot be read: " + why.substr(0, why.find('\n')), kHint);
}

using Table = std::shared_ptr<arrow::Table>;

Table read_arrow(const std::string& path) {
  const auto file = value_of(arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ), path);
  const auto reader = value_of(arrow::ipc::RecordBatchFileReader::Open(file), path);
  return value_of(reader->ToTable(), path);
}

// Of a Parquet file, only the columns that are asked for.
Table read_parquet(const std::string& path, std::span<const MinariLeaf> leaves) {
  const auto file = value_of(arrow::io::ReadableFile::Open(path), path);
  const auto reader = value_of(parquet::arrow::OpenFile(file, arrow::default_memory_pool()), path);
  const auto* schema = reader->parquet_reader()->metadata()->schema();
  std::vector<int> columns;
  for (int i = 0; i < schema->num_columns(); ++i) {
    const auto top = schema->Column(i)->path()->ToDotVector().front();
    if (std::any_of(leaves.begin(), leaves.end(), [&](const MinariLeaf& leaf) { return leaf.top == top; }))
      columns.push_back(i);
  }
  return value_of(reader->ReadTable(columns), path);
}

at::ScalarType scalar_of(const arrow::DataType& type, const std::string& where) {
  switch (type.id()) {
    case arrow::Type::UINT8:
      return at::kByte;
    case arrow::Type::INT8:
      return at::kChar;
    case arrow::Type::UINT16:
      return at::kUInt16;
    case arrow::Type::INT16:
      return at::kShort;
    case arrow::Type::UINT32:
      return at::kUInt32;
    case arrow::Type::INT32:
      return at::kInt;
    case arrow::Type::UINT64:
      return at::kUInt64;
    case arrow::Type::INT64:
      return at::kLong;
    case arrow::Type::HALF_FLOAT:
      return at::kHalf;
    case arrow::Type::FLOAT:
      return at::kFloat;
    case arrow::Type::DOUBLE:
      return at::kDouble;
    default:
      throw Error(where + " has values of the type " + type.ToString(), "Minari writes numbers, booleans, text and JPEGs");
  }
}

// One leaf of the table's rows that count: from the struct columns down to numbers or strings.
class ColumnReader {
 public:
  explicit ColumnReader(std::string where) : where_(std::move(where)) {}

  MinariColumn read(std::shared_ptr<arrow::Array> array, const MinariLeaf& leaf) const {
    for (const auto& key : leaf.path) {
      check(*array);
      const auto* fields =
          array->type_id() == arrow::Type::STRUCT ? static_cast<const arrow::StructArray*>(array.get()) : nullptr;
      array = fields ? fields->GetFieldByName(key.name) : nullptr;
      if (!array)
        throw Error(where_ + ": there is no column '" + key.name + "' in it", "metadata.json's spaces say that there is");
    }
    check(*array);
    switch (array->type_id()) {
      case arrow::Type::STRING:
      case arrow::Type::BINARY:
        return strings(static_cast<const arrow::BinaryArray&>(*array));
      case arrow::Type::LARGE_STRING:
      case arrow::Type::LARGE_BINARY:
        return strings(static_cast<const arrow::LargeBinaryArray&>(*array));
      default:
        return numbers(array, leaf.shape);
    }
  }

 private:
  void check(const arrow::Array& array) const {
    const auto status = array.ValidateFull();
    if (!status.ok()) throw Error(where_ + " is broken: " + status.message(), kHint);
    if (array.null_count() > 0)
      throw Error(where_ + " has rows without a value", "Minari writes every value of every timestep");
  }

  template <class Strings>
  static MinariColumn strings(const Strings& array) {
    MinariColumn column;
    for (int64_t i = 0; i < array.length(); ++i) column.strings.emplace_back(array.GetView(i));
    return column;
  }

  // Lists are flat: they get the space's shape where it fits.
  MinariColumn numbers(std::shared_ptr<arrow::Array> array, const std::vector<int64_t>& shape) const {
    const int64_t rows = array->length();
    int64_t row_size = 1;
    std::vector<int64_t> sizes{rows};
    while (array->type_id() == arrow::Type::FIXED_SIZE_LIST || array->type_id() == arrow::Type::LIST) {
      const int64_t length = list_length(*array);
      sizes.push_back(length);
      row_size *= length;
      array = array->type_id() == arrow::Type::LIST
                  ? value_of(static_cast<const arrow::ListArray&>(*array).Flatten(), where_)
                  : value_of(static_cast<const arrow::FixedSizeListArray&>(*array).Flatten(), where_);
      check(*array);
    }
    int64_t expected = 1;
    for (const int64_t size : shape) expected *= size;
    if (expected == row_size && sizes.size() > 1) {
      sizes.assign(1, rows);
      sizes.insert(sizes.end(), shape.begin(), shape.end());
    }
    return {flat(*array).reshape(sizes), {}};
  }

  int64_t list_length(const arrow::Array& array) const {
    if (array.type_id() == arrow::Type::FIXED_SIZE_LIST)
      return static_cast<const arrow::FixedSizeListArray&>(array).list_type()->list_size();
    const auto& lists = static_cast<const arrow::ListArray&>(array);
    const int64_t length = lists.length() > 0 ? lists.value_length(0) : 0;
    for (int64_t i = 0; i < lists.length(); ++i)
      if (lists.value_length(i) != length) throw Error(where_ + " has rows of several lengths", "a space has one shape");
    return length;
  }

  at::Tensor flat(const arrow::Array& array) const {
    if (array.type_id() == arrow::Type::BOOL) {
      auto values = at::empty({array.length()}, at::kBool);
      const auto& bits = static_cast<const arrow::BooleanArray&>(array);
      for (int64_t i = 0; i < array.length(); ++i) values.data_ptr<bool>()[i] = bits.Value(i);
      return values;
    }
    auto values = at::empty({array.length()}, scalar_of(*array.type(), where_));
    const auto size = values.element_size();
    if (values.numel() > 0)
      std::memcpy(values.data_ptr(), array.data()->buffers[1]->data() + array.offset() * static_cast<int64_t>(size),
                  values.nbytes());
    return values;
  }

  std::string where_;
};

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

  std::vector<MinariColumn> read(int64_t episode, std::span<const MinariLeaf> leaves) const override {
    const std::string path = file(episode);
    const auto table = format_ == "parquet" ? read_parquet(path, leaves) : read_arrow(path);
    const int64_t steps = num_steps(episode);
    if (table->num_rows() != steps + 1)
      throw Error(path + " has " + std::to_string(table->num_rows()) + " rows, not " + std::to_string(steps + 1) +
                      ": the total_steps of its metadata.json is " + std::to_string(steps),
                  "the rows are the timesteps and one more; was the writer interrupted?");
    std::vector<MinariColumn> columns;
    for (const auto& leaf : leaves) {
      const std::string where = path + ": '" + leaf.name() + "'";
      const auto chunks = table->GetColumnByName(leaf.top);
      if (!chunks)
        throw Error(path + " has no column '" + leaf.top + "'", "Minari writes it; was the file made by another program?");
      const auto whole = chunks->num_chunks() == 1 ? chunks->chunk(0) : value_of(arrow::Concatenate(chunks->chunks()), where);
      columns.push_back(ColumnReader(where).read(whole->Slice(0, steps + (leaf.has_last_row() ? 1 : 0)), leaf));
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
