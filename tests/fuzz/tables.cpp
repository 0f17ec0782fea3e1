#include "tables.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>

#include "src/data/sources/arrow_status.h"

namespace mugato::fuzz {
namespace {

using data::check;
using data::value_of;
using ArrayPointer = std::shared_ptr<arrow::Array>;

std::shared_ptr<arrow::DataType> make_type(Input& input, int depth = 0) {
  const std::shared_ptr<arrow::DataType> leaves[] = {arrow::boolean(),
                                                     arrow::int8(),
                                                     arrow::uint8(),
                                                     arrow::int16(),
                                                     arrow::uint16(),
                                                     arrow::int32(),
                                                     arrow::uint32(),
                                                     arrow::int64(),
                                                     arrow::uint64(),
                                                     arrow::float16(),
                                                     arrow::float32(),
                                                     arrow::float64(),
                                                     arrow::utf8(),
                                                     arrow::binary(),
                                                     arrow::large_utf8(),
                                                     arrow::fixed_size_binary(3),
                                                     arrow::null(),
                                                     arrow::date32(),
                                                     arrow::timestamp(arrow::TimeUnit::MICRO)};
  const auto kind = input.below(std::size(leaves) + (depth < 4 ? 6 : 0));
  if (kind < std::size(leaves)) return leaves[kind];
  const auto inner = make_type(input, depth + 1);
  switch (kind - std::size(leaves)) {
    case 0:
      return arrow::list(inner);
    case 1:
      return arrow::large_list(inner);
    case 2:
      // Of lists without values and null ones beside each other, Parquet's writer slices what is not there and aborts.
      return arrow::fixed_size_list(inner, std::max(1, static_cast<int>(input.below(5))));
    case 3:
      return arrow::struct_({arrow::field("bytes", inner), arrow::field("path", arrow::utf8())});
    case 4:
      return arrow::struct_({arrow::field("bytes", arrow::binary()), arrow::field("path", inner)});
    default:
      return arrow::dictionary(arrow::int8(), arrow::utf8());
  }
}

// So many bytes, by repeating a few.
std::shared_ptr<arrow::Buffer> make_buffer(int64_t size, Input& input) {
  const std::string pattern(input.take(1 + input.below(32)));
  std::string bytes(static_cast<size_t>(size), '\0');
  for (size_t i = 0; i < bytes.size() && !pattern.empty(); ++i) bytes[i] = pattern[i % pattern.size()];
  return arrow::Buffer::FromString(std::move(bytes));
}

// Where the elements of `length` lists or texts begin: few each, mostly as many.
template <class Offset>
std::shared_ptr<arrow::Buffer> make_offsets(int64_t length, int64_t* total, Input& input) {
  const auto usual = input.below(5), exception = input.below(4), at = input.below(8);
  std::string bytes(sizeof(Offset) * static_cast<size_t>(length + 1), '\0');
  Offset offset = 0;
  for (size_t i = 0; i <= static_cast<size_t>(length); ++i) {
    std::memcpy(bytes.data() + i * sizeof offset, &offset, sizeof offset);
    if (i < static_cast<size_t>(length)) offset += static_cast<Offset>(usual + (i == at ? exception : 0));
  }
  *total = offset;
  return arrow::Buffer::FromString(std::move(bytes));
}

ArrayPointer make_array(const std::shared_ptr<arrow::DataType>& type, int64_t length, Input& input) {
  const auto valid = input.below(4) == 0 ? make_buffer((length + 7) / 8, input) : nullptr;
  const auto made = [&](std::vector<std::shared_ptr<arrow::Buffer>> buffers,
                        std::vector<std::shared_ptr<arrow::ArrayData>> children = {}) {
    buffers.insert(buffers.begin(), valid);
    return arrow::MakeArray(
        arrow::ArrayData::Make(type, length, std::move(buffers), std::move(children), valid ? arrow::kUnknownNullCount : 0));
  };
  int64_t total = 0;
  switch (type->id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY: {
      const auto offsets = make_offsets<int32_t>(length, &total, input);
      return made({offsets, make_buffer(total, input)});
    }
    case arrow::Type::LARGE_STRING: {
      const auto offsets = make_offsets<int64_t>(length, &total, input);
      return made({offsets, make_buffer(total, input)});
    }
    case arrow::Type::LIST: {
      const auto offsets = make_offsets<int32_t>(length, &total, input);
      return made({offsets}, {make_array(type->field(0)->type(), total, input)->data()});
    }
    case arrow::Type::LARGE_LIST: {
      const auto offsets = make_offsets<int64_t>(length, &total, input);
      return made({offsets}, {make_array(type->field(0)->type(), total, input)->data()});
    }
    case arrow::Type::FIXED_SIZE_LIST:
      total = length * static_cast<const arrow::FixedSizeListType&>(*type).list_size();
      return made({}, {make_array(type->field(0)->type(), total, input)->data()});
    case arrow::Type::STRUCT:
      return made({}, {make_array(type->field(0)->type(), length, input)->data(),
                       make_array(type->field(1)->type(), length, input)->data()});
    case arrow::Type::NA:
    case arrow::Type::DICTIONARY:
      return value_of(arrow::MakeArrayOfNull(type, length), "nulls");
    default: {
      const auto width = static_cast<const arrow::FixedWidthType&>(*type).bit_width();
      return made({make_buffer((length * width + 7) / 8, input)});
    }
  }
}

// Other values of the same type, others of another, or the same with a part of it edited.
ArrayPointer edited(const ArrayPointer& array, Input& input) {
  const auto way = input.below(4);
  const auto& old = *array->data();
  if (way < 2 && !old.child_data.empty() && old.offset == 0) {
    auto children = old.child_data;
    auto fields = old.type->fields();
    const auto k = input.below(children.size());
    children[k] = edited(arrow::MakeArray(children[k]), input)->data();
    fields[k] = fields[k]->WithType(children[k]->type);
    if (old.type->id() == arrow::Type::STRUCT && input.below(4) == 0) fields[k] = fields[k]->WithName("other");
    const auto type = old.type->id() == arrow::Type::STRUCT       ? arrow::struct_(fields)
                      : old.type->id() == arrow::Type::LIST       ? arrow::list(fields[0])
                      : old.type->id() == arrow::Type::LARGE_LIST ? arrow::large_list(fields[0])
                                                                  : nullptr;
    if (type) return arrow::MakeArray(arrow::ArrayData::Make(type, old.length, old.buffers, children, old.null_count.load()));
  }
  if (way == 2 && arrow::is_primitive(old.type->id()) && old.buffers[1] && old.offset == 0)
    return arrow::MakeArray(arrow::ArrayData::Make(
        old.type, old.length, {old.buffers[0], make_buffer(old.buffers[1]->size(), input)}, old.null_count.load()));
  return make_array(make_type(input), array->length(), input);
}

std::shared_ptr<arrow::Table> edited(std::shared_ptr<arrow::Table> table, Input& input) {
  if (table->num_columns() == 0) return table;
  const auto k = static_cast<int>(input.below(static_cast<size_t>(table->num_columns())));
  const auto field = table->schema()->field(k);
  switch (input.below(8)) {
    case 0:
      return value_of(table->RemoveColumn(k), "drop");
    case 1:
      return value_of(table->SetColumn(k, field->WithName(std::string(input.take(input.below(12)))), table->column(k)), "name");
    case 2:
      return value_of(table->AddColumn(0, field, table->column(k)), "twice");
    case 3:
      return table->Slice(std::min(table->num_rows(), static_cast<int64_t>(input.below(4))),
                          static_cast<int64_t>(input.below(8)));
    case 4:
      return value_of(arrow::ConcatenateTables({table, table}), "doubled");
    default: {
      const auto whole = value_of(table->CombineChunks(), "combined")->column(k);
      if (whole->num_chunks() != 1) return table;
      const auto array = edited(whole->chunk(0), input);
      return value_of(
          table->SetColumn(k, arrow::field(field->name(), array->type()), std::make_shared<arrow::ChunkedArray>(array)),
          "column");
    }
  }
}

std::shared_ptr<arrow::Table> read_table(const std::filesystem::path& file, const std::string& bytes) {
  const auto name = file.string();
  const std::shared_ptr<arrow::io::RandomAccessFile> source = arrow::io::BufferReader::FromString(bytes);
  if (file.extension() == ".arrow")
    return value_of(value_of(arrow::ipc::RecordBatchFileReader::Open(source), name)->ToTable(), name);
  return value_of(value_of(parquet::arrow::OpenFile(source, arrow::default_memory_pool()), name)->ReadTable(), name);
}

arrow::Result<std::shared_ptr<arrow::Buffer>> bytes_of(const arrow::Table& table, bool is_arrow, int64_t rows_per_group) {
  ARROW_ASSIGN_OR_RAISE(const auto sink, arrow::io::BufferOutputStream::Create());
  if (is_arrow) {
    ARROW_ASSIGN_OR_RAISE(const auto writer, arrow::ipc::MakeFileWriter(sink, table.schema()));
    ARROW_RETURN_NOT_OK(writer->WriteTable(table, rows_per_group));
    ARROW_RETURN_NOT_OK(writer->Close());
  } else {
    ARROW_RETURN_NOT_OK(parquet::arrow::WriteTable(table, arrow::default_memory_pool(), sink, rows_per_group));
  }
  return sink->Finish();
}

}  // namespace

std::string edited_table(const std::filesystem::path& file, Input& input) {
  constexpr int kMostEdits = 8;
  static std::map<std::string, std::string> files;
  auto& whole = files[file.string()];
  if (whole.empty()) whole = read_file(file);
  const auto rows_per_group = static_cast<int64_t>(1 + input.below(20));
  auto table = read_table(file, whole);
  for (int i = 0; i < kMostEdits && !input.empty(); ++i) table = edited(table, input);
  const auto written =
      table->ValidateFull().ok() ? bytes_of(*table, file.extension() == ".arrow", rows_per_group) : arrow::Status::Invalid("");
  return written.ok() ? (*written)->ToString() : whole;
}

}  // namespace mugato::fuzz
