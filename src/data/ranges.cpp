#include "mugato/data/ranges.h"

#include <algorithm>
#include <cmath>

#include "mugato/core/random.h"
#include "mugato/data/mixture.h"

namespace mugato::data {
namespace {

constexpr int64_t kMostValues = int64_t{1} << 22;

// Values that differ by less than this share of their size do not vary.
constexpr double kConstant = 1e-6, kWidthOfConstant = 1e-3;

// What has been seen of one field: the extremes, and an even sample of its timesteps.
class FieldValuesSeen {
 public:
  FieldValuesSeen(const FieldSpec& field, uint64_t seed)
      : num_values_(static_cast<size_t>(field.values_per_step())),
        most_rows_(std::max<int64_t>(1, kMostValues / field.values_per_step())),
        random_(seed),
        low_(num_values_, INFINITY),
        high_(num_values_, -INFINITY) {}

  void add(const double* row) {
    for (size_t k = 0; k < num_values_; ++k) {
      low_[k] = std::min(low_[k], row[k]);
      high_[k] = std::max(high_[k], row[k]);
    }
    // A reservoir: every row so far has the same chance to be in the sample.
    if (const int64_t place = num_rows_ < most_rows_ ? num_rows_ : random_.below(num_rows_ + 1); place < most_rows_) {
      const size_t begin = static_cast<size_t>(place) * num_values_;
      if (begin == sample_.size()) sample_.insert(sample_.end(), row, row + num_values_);
      else std::copy_n(row, num_values_, sample_.begin() + static_cast<ptrdiff_t>(begin));
    }
    ++num_rows_;
  }

  Range range(const RangeOptions& options) const {
    Range range{low_, high_};
    for (size_t k = 0; k < num_values_; ++k) {
      if (options.kind == "quantile") narrow(k, options.quantile, range);
      const double size = std::max(std::abs(range.low[k]), std::abs(range.high[k]));
      if (range.high[k] - range.low[k] > kConstant * size) continue;
      const double center = 0.5 * range.low[k] + 0.5 * range.high[k], width = kWidthOfConstant * std::max(1.0, size);
      range.low[k] = center - width;
      range.high[k] = center + width;
    }
    return range;
  }

 private:
  void narrow(size_t k, double quantile, Range& range) const {
    std::vector<double> values;
    for (size_t i = k; i < sample_.size(); i += num_values_) values.push_back(sample_[i]);
    std::sort(values.begin(), values.end());
    const auto at = [&](double share) {
      const double place = share * static_cast<double>(values.size() - 1);
      const auto below = static_cast<size_t>(place), above = std::min(below + 1, values.size() - 1);
      return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
    };
    const double low = at(quantile), high = at(1.0 - quantile);
    if (high - low <= kConstant * std::max(std::abs(low), std::abs(high))) return;
    range.low[k] = low;
    range.high[k] = high;
  }

  size_t num_values_;
  int64_t most_rows_, num_rows_ = 0;
  Random random_;
  std::vector<double> low_, high_, sample_;
};

void add_field(const FieldSpec& field, const Episode& episode, const at::Tensor& values, FieldValuesSeen& seen) {
  const auto rows = values.to(at::kDouble).reshape({values.size(0), -1}).contiguous();
  if (rows.size(1) != field.values_per_step())
    throw Error("field '" + field.name + "' of '" + episode.id + "' has " + std::to_string(rows.size(1)) +
                    " values a timestep, its schema says " + std::to_string(field.values_per_step()),
                "make the source's values and its schema agree");
  if (!rows.isfinite().all().item<bool>())
    throw Error("field '" + field.name + "' of '" + episode.id + "' holds a value that is not finite",
                "correct the data or leave the episode out");
  for (int64_t e = 0; e < rows.size(0); ++e) seen.add(rows.const_data_ptr<double>() + e * rows.size(1));
}

}  // namespace

Ranges measure_ranges(const Source& source, const RangeOptions& options, const std::string& domain) {
  const auto& fields = source.schema().fields;
  std::map<size_t, FieldValuesSeen> seen;
  for (size_t f = 0; f < fields.size(); ++f)
    if (fields[f].modality == Modality::kContinuous) seen.emplace(f, FieldValuesSeen(fields[f], hash_key(options.seed, f)));
  const int64_t count = std::min(options.episodes, source.size());
  int64_t num_read = 0;
  for (int64_t i = 0; i < count && !seen.empty(); ++i) {
    const int64_t index = count == source.size() ? i : permuted(i, source.size(), hash_key(options.seed, 0x73746174));
    try {
      const auto episode = source.get(index);
      TORCH_CHECK(episode.fields.size() == fields.size(), "'", episode.id, "' has not the fields of its schema");
      for (auto& [f, field] : seen) add_field(fields[f], episode, episode.fields[f].values, field);
      ++num_read;
    } catch (const Error& error) {
      if (!options.skip_broken) throw of_entry(domain, error);
    }
  }
  if (num_read == 0 && !seen.empty())
    throw Error("[[data]] entry '" + domain + "': there is no episode to measure ranges in", "set normalize to \"none\"");
  Ranges ranges;
  for (const auto& [f, field] : seen) ranges[fields[f].name] = field.range(options);
  return ranges;
}

Schema with_ranges(Schema schema, const Ranges& ranges, const std::string& domain) {
  for (auto& field : schema.fields) {
    if (field.modality != Modality::kContinuous) continue;
    const auto found = ranges.find(field.name);
    if (found == ranges.end() || static_cast<int64_t>(found->second.low.size()) != field.values_per_step())
      throw Error("'" + domain + "': the measured ranges are not those of field '" + field.name + "'",
                  "the data have to have the fields that the run was started with");
    field.mu_law = false;
    field.low = found->second.low;
    field.high = found->second.high;
  }
  return schema;
}

}  // namespace mugato::data
