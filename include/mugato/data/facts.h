// What training found in its data and acting has to know: kept in every checkpoint.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "mugato/data/ranges.h"

namespace mugato::data {

struct EntryFacts {
  int64_t episodes = 0;        // that training draws from; Source::kUnbounded for generators
  int64_t found = 0;           // that its source has; more than `episodes` where some were left out
  std::string normalize = {};  // how its ranges were measured; empty: they were not yet
  Ranges ranges = {};
};

using DataFacts = std::map<std::string, EntryFacts>;  // by domain

std::string to_json(const DataFacts& facts);
DataFacts parse_facts(const std::string& json, const std::string& origin);  // throws Error that names `origin`

}  // namespace mugato::data
