// Normalisation: ranges of continuous values that are measured in the data, in place of mu-law and of limits set by hand.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "mugato/data/decorator.h"

namespace mugato::data {

// What becomes [-1, 1], for each value of a timestep.
struct Range {
  std::vector<double> low, high;
};
using Ranges = std::map<std::string, Range>;  // by field

struct RangeOptions {
  std::string kind =
      "min_max";  // min_max: the smallest and the largest value; quantile: those at `quantile` and 1 - `quantile`
  double quantile = 0.01;
  int64_t episodes = 1000;  // read at most, drawn by the seed where there are more
  uint64_t seed = 0;
  bool skip_broken = false;  // leave out episodes that can not be read; else they are an Error
};

// The ranges of all continuous fields of a source, each value of a timestep by itself. Quantiles are of at most 2^22 values a
// field: of more, timesteps drawn evenly; between two values they are interpolated. Where the quantiles of a value meet, its
// smallest and largest count; a constant c gets the range c -/+ 0.001 max(1, |c|), so that it comes back as c within a
// millionth of that. Throws Error that names `domain`, the episode and the field for a value that is not finite.
Ranges measure_ranges(const Source& source, const RangeOptions& options, const std::string& domain);

// The schema with these ranges for its continuous fields. Throws Error when one of them has none, or of another size.
Schema with_ranges(Schema schema, const Ranges& ranges, const std::string& domain);

// A source whose schema says its measured ranges: values stay what they are and become tokens by them.
class NormalizedSource : public SourceDecorator {
 public:
  NormalizedSource(std::shared_ptr<const Source> inner, const Ranges& ranges, const std::string& domain)
      : SourceDecorator(inner), schema_(with_ranges(inner->schema(), ranges, domain)) {}
  const Schema& schema() const override { return schema_; }

 private:
  Schema schema_;
};

}  // namespace mugato::data
