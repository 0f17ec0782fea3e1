// Arrow's way of failing as ours. For the few .cpp files that include Arrow.
#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include <string>

#include "mugato/core/error.h"

namespace mugato::data {

// Throws Error "<where>: <what Arrow says>".
inline void check(const arrow::Status& status, const std::string& where,
                  const std::string& hint = "is it whole, and may it be read?") {
  if (!status.ok()) throw Error(where + ": " + status.message(), hint);
}

template <class T>
T value_of(arrow::Result<T> result, const std::string& where, const std::string& hint = "is it whole, and may it be read?") {
  check(result.status(), where, hint);
  return std::move(result).ValueUnsafe();
}

}  // namespace mugato::data
