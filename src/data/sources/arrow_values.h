// Arrow's types and arrays as ours. For the few .cpp files that include Arrow.
#pragma once

#include <arrow/array.h>
#include <arrow/type.h>

#include <string>

#include "parquet_file.h"

namespace mugato::data {

ParquetColumn column_of(const arrow::Field& field);

// Values [begin, begin + count) of an array of a column whose kind is not kOther. Throws Error that begins with `where`.
ColumnValues values_of(const arrow::Array& array, int64_t begin, int64_t count, const std::string& where);

// The elements of the list at `index`; of an array without lists, the one value there.
ColumnValues elements_of(const arrow::Array& array, int64_t index, const std::string& where);

}  // namespace mugato::data
