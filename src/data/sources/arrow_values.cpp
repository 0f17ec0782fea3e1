#if MUGATO_ARROW

#include "arrow_values.h"

#include <arrow/array/array_nested.h>
#include <arrow/array/array_primitive.h>
#include <arrow/type_traits.h>

#include "mugato/core/error.h"

namespace mugato::data {
namespace {

constexpr int64_t kMaxRank = 8;

std::optional<at::ScalarType> number_of(arrow::Type::type type) {
  switch (type) {
    case arrow::Type::BOOL:
      return at::kBool;
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
      return std::nullopt;
  }
}

bool is_text(arrow::Type::type type) { return type == arrow::Type::STRING || type == arrow::Type::LARGE_STRING; }
bool is_bytes(arrow::Type::type type) { return type == arrow::Type::BINARY || type == arrow::Type::LARGE_BINARY; }
bool is_list_type(arrow::Type::type type) {
  return type == arrow::Type::LIST || type == arrow::Type::LARGE_LIST || type == arrow::Type::FIXED_SIZE_LIST;
}

bool is_image(const arrow::DataType& type) {
  const auto* fields = type.id() == arrow::Type::STRUCT ? dynamic_cast<const arrow::StructType*>(&type) : nullptr;
  const auto bytes = fields ? fields->GetFieldByName("bytes") : nullptr;
  return bytes && is_bytes(bytes->type()->id());
}

// The elements of lists [begin, begin + count): where they begin in the values, and how many each has.
struct Elements {
  std::shared_ptr<arrow::Array> values;
  int64_t begin = 0, end = 0;
};

template <class List>
Elements elements_in(const List& list, int64_t begin, int64_t count) {
  return {list.values(), list.value_offset(begin), list.value_offset(begin + count)};
}

Elements elements_in(const arrow::Array& array, int64_t begin, int64_t count) {
  if (array.type_id() == arrow::Type::LIST) return elements_in(static_cast<const arrow::ListArray&>(array), begin, count);
  if (array.type_id() == arrow::Type::LARGE_LIST)
    return elements_in(static_cast<const arrow::LargeListArray&>(array), begin, count);
  return elements_in(static_cast<const arrow::FixedSizeListArray&>(array), begin, count);
}

void check_present(const arrow::Array& array, int64_t begin, int64_t count, const std::string& where) {
  if (array.null_count() == 0) return;
  for (int64_t i = begin; i < begin + count; ++i)
    if (array.IsNull(i)) throw Error(where + ": a value is missing (null)", "every timestep has to have a value");
}

at::Tensor numbers_of(const arrow::Array& array, int64_t begin, int64_t count, std::vector<int64_t> shape) {
  const auto type = *number_of(array.type_id());
  auto numbers = at::empty({count}, at::dtype(type));
  if (type == at::kBool) {
    const auto& bits = static_cast<const arrow::BooleanArray&>(array);
    for (int64_t i = 0; i < count; ++i) numbers.mutable_data_ptr<bool>()[i] = bits.Value(begin + i);
  } else if (count > 0) {
    const auto width = static_cast<int64_t>(numbers.element_size());
    const auto& data = *array.data();
    std::memcpy(numbers.mutable_data_ptr(), data.buffers[1]->data() + (data.offset + begin) * width,
                static_cast<size_t>(count * width));
  }
  return numbers.view(shape);
}

template <class Strings>
void copy_strings(const Strings& array, int64_t begin, int64_t count, std::vector<std::string>& out) {
  out.reserve(static_cast<size_t>(count));
  for (int64_t i = begin; i < begin + count; ++i) out.emplace_back(array.GetView(i));
}

std::vector<std::string> strings_of(const arrow::Array& array, int64_t begin, int64_t count) {
  std::vector<std::string> strings;
  if (array.type_id() == arrow::Type::STRING || array.type_id() == arrow::Type::BINARY)
    copy_strings(static_cast<const arrow::BinaryArray&>(array), begin, count, strings);
  else copy_strings(static_cast<const arrow::LargeBinaryArray&>(array), begin, count, strings);
  return strings;
}

// The lists are all of one length, which becomes the next axis.
void check_lengths(const arrow::Array& array, int64_t begin, int64_t count, int64_t length, const std::string& where) {
  for (int64_t i = begin; i < begin + count; ++i) {
    const auto one = elements_in(array, i, 1);
    if (one.end - one.begin != length)
      throw Error(where + ": lists of " + std::to_string(length) + " and of " + std::to_string(one.end - one.begin) +
                      " values in one row",
                  "the values of every timestep have to have one shape");
  }
}

}  // namespace

ParquetColumn column_of(const arrow::Field& field) {
  ParquetColumn column{.name = field.name(), .type = field.type()->ToString()};
  const arrow::DataType* type = field.type().get();
  for (; is_list_type(type->id()); type = type->field(0)->type().get()) ++column.depth;
  using Kind = ParquetColumn::Kind;
  if (const auto number = number_of(type->id())) {
    column.kind = Kind::kNumber;
    column.number = *number;
  } else if (is_text(type->id()) && column.depth <= 1) {
    column.kind = Kind::kText;
  } else if (is_bytes(type->id()) && column.depth <= 1) {
    column.kind = Kind::kBytes;
  } else if (is_image(*type) && column.depth <= 1) {
    column.kind = Kind::kImage;
  }
  if (column.depth > kMaxRank) column.kind = Kind::kOther;
  return column;
}

ColumnValues values_of(const arrow::Array& array, int64_t begin, int64_t count, const std::string& where) {
  const arrow::Array* values = &array;
  std::shared_ptr<arrow::Array> held;
  int64_t total = count;
  std::vector<int64_t> shape = {count};
  while (is_list_type(values->type_id())) {
    check_present(*values, begin, total, where);
    const auto elements = elements_in(*values, begin, total);
    const int64_t length = total == 0 ? 0 : (elements.end - elements.begin) / total;
    check_lengths(*values, begin, total, length, where);
    shape.push_back(length);
    total = elements.end - elements.begin;
    begin = elements.begin;
    held = elements.values;
    values = held.get();
  }
  check_present(*values, begin, total, where);
  if (number_of(values->type_id())) return {numbers_of(*values, begin, total, std::move(shape)), {}};
  if (values->type_id() == arrow::Type::STRUCT) {
    held = static_cast<const arrow::StructArray&>(*values).GetFieldByName("bytes");
    values = held.get();
    check_present(*values, begin, total, where + ": the images are not embedded, only their paths are");
  }
  return {{}, strings_of(*values, begin, total)};
}

ColumnValues elements_of(const arrow::Array& array, int64_t index, const std::string& where) {
  if (!is_list_type(array.type_id())) return values_of(array, index, 1, where);
  check_present(array, index, 1, where);
  const auto elements = elements_in(array, index, 1);
  return values_of(*elements.values, elements.begin, elements.end - elements.begin, where);
}

}  // namespace mugato::data

#endif  // MUGATO_ARROW
