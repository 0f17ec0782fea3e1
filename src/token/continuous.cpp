#include "mugato/token/continuous.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "index_text.h"
#include "mugato/core/error.h"

namespace mugato {
namespace {

const double kLogRange = std::log1p(kMuLawM * kMu);

// Maps raw values to [-1, 1], with everything that does not depend on the value worked out once. T is the type in which
// values arrive: limits are compared in that type, since a float 0.4 is above the double 0.4 without being out of range.
template <class T>
class UnitMap {
 public:
  UnitMap(const ContinuousCodec& codec, size_t k)
      : mu_law_(codec.mu_law),
        // Halves first: the difference of two large limits may overflow.
        center_(0.5 * codec.low[k] + 0.5 * codec.high[k]),
        half_(0.5 * codec.high[k] - 0.5 * codec.low[k]),
        low_(static_cast<T>(codec.mu_law ? -kMuLawM : codec.low[k])),
        high_(static_cast<T>(codec.mu_law ? kMuLawM : codec.high[k])),
        num_bins_(static_cast<double>(codec.num_bins)) {}

  double unit(double value) const { return std::clamp(mu_law_ ? mu_law(value) : (value - center_) / half_, -1.0, 1.0); }
  int64_t bin(double value) const {
    const int64_t floor = static_cast<int64_t>((unit(value) + 1.0) * 0.5 * num_bins_);
    return std::min(floor, static_cast<int64_t>(num_bins_) - 1);  // +1 belongs to the last bin
  }
  bool is_outside(T value) const { return value < low_ || value > high_; }

 private:
  bool mu_law_;
  double center_, half_;
  T low_, high_;
  double num_bins_;
};

void check_codec(const ContinuousCodec& codec) {
  TORCH_CHECK(codec.num_bins >= 1, "a continuous codec with ", codec.num_bins, " bins");
  TORCH_CHECK(!codec.low.empty() && codec.low.size() == codec.high.size(), "a continuous codec with ", codec.low.size(),
              " lower and ", codec.high.size(), " upper limits");
  for (size_t k = 0; k < codec.low.size(); ++k)
    TORCH_CHECK(codec.mu_law || codec.low[k] < codec.high[k], "a continuous codec for [", codec.low[k], ", ", codec.high[k],
                "]");
}

// Which of the limits are the k-th value's.
size_t entry_of(const ContinuousCodec& codec, int64_t k) {
  TORCH_CHECK(k >= 0 && (codec.low.size() == 1 || k < static_cast<int64_t>(codec.low.size())), "value ", k, " of ",
              codec.low.size());
  return codec.low.size() == 1 ? 0 : static_cast<size_t>(k);
}

template <class T>
std::vector<UnitMap<T>> unit_maps(const ContinuousCodec& codec) {
  std::vector<UnitMap<T>> maps;
  for (size_t k = 0; k < codec.low.size(); ++k) maps.emplace_back(codec, k);
  return maps;
}

// Calls work(values) with the values as float or as double, whichever they arrive in.
template <class Work>
void with_values(const at::Tensor& values, const Work& work) {
  if (values.scalar_type() == at::kFloat) {
    const auto contiguous = values.contiguous();
    work(contiguous.const_data_ptr<float>());
  } else {
    const auto contiguous = values.to(at::kDouble).contiguous();
    work(contiguous.const_data_ptr<double>());
  }
}

template <class T>
void encode_values(const T* in, at::IntArrayRef shape, const ContinuousCodec& codec, const std::string& field, int64_t* out,
                   int64_t* num_clipped) {
  const auto maps = unit_maps<T>(codec);
  const int64_t count = c10::multiply_integers(shape);
  int64_t clipped = 0;
  size_t k = 0;
  for (int64_t i = 0; i < count; ++i, k = k + 1 < maps.size() ? k + 1 : 0) {
    if (!std::isfinite(in[i]))
      throw Error("field '" + field + "': value " +
                      (std::isnan(in[i]) ? "NaN"
                       : in[i] > 0       ? "inf"
                                         : "-inf") +
                      " at " + index_text(i, shape) + " is not finite",
                  "correct the data or leave the episode out");
    clipped += static_cast<int64_t>(maps[k].is_outside(in[i]));
    out[i] = maps[k].bin(static_cast<double>(in[i]));
  }
  if (num_clipped != nullptr) *num_clipped += clipped;
}

}  // namespace

double mu_law(double x) { return std::copysign(std::log1p(std::abs(x) * kMu) / kLogRange, x); }

double mu_law_inverse(double y) { return std::copysign(std::expm1(std::abs(y) * kLogRange) / kMu, y); }

double ContinuousCodec::to_unit(double value, int64_t k) const {
  check_codec(*this);
  TORCH_CHECK(std::isfinite(value), "a continuous value is ", value);
  return UnitMap<double>(*this, entry_of(*this, k)).unit(value);
}

double ContinuousCodec::from_unit(double unit, int64_t k) const {
  check_codec(*this);
  const double least = low[entry_of(*this, k)], most = high[entry_of(*this, k)];
  return mu_law ? mu_law_inverse(unit) : (0.5 * least + 0.5 * most) + unit * (0.5 * most - 0.5 * least);
}

int64_t ContinuousCodec::encode(double value, int64_t k) const {
  check_codec(*this);
  TORCH_CHECK(std::isfinite(value), "a continuous value is ", value);
  return UnitMap<double>(*this, entry_of(*this, k)).bin(value);
}

double ContinuousCodec::bin_center(int64_t bin) const {
  TORCH_CHECK(bin >= 0 && bin < num_bins, "continuous bin ", bin, " is not in [0, ", num_bins, ")");
  return static_cast<double>(2 * bin + 1) / static_cast<double>(num_bins) - 1.0;
}

double ContinuousCodec::decode(int64_t bin, int64_t k) const { return from_unit(bin_center(bin), k); }

at::Tensor ContinuousCodec::encode(const at::Tensor& values, const std::string& field, int64_t* num_clipped) const {
  for (size_t k = 0; !mu_law && k < std::min(low.size(), high.size()); ++k)
    if (!(low[k] < high[k]))
      throw Error("field '" + field + "': the range [" + std::to_string(low[k]) + ", " + std::to_string(high[k]) + "] is empty",
                  "declare low below high");
  if (values.is_complex())
    throw Error("field '" + field + "': continuous values are complex", "give real numbers: two values for each");
  check_codec(*this);
  TORCH_CHECK(values.is_cpu(), "field '", field, "': continuous values are encoded on the CPU");
  const auto num_ranges = static_cast<int64_t>(low.size());
  TORCH_CHECK(values.numel() % num_ranges == 0, "field '", field, "': ", values.numel(), " values of ", num_ranges, " ranges");
  at::Tensor bins = at::empty(values.sizes(), at::kLong);
  int64_t* out = bins.mutable_data_ptr<int64_t>();
  with_values(values, [&](const auto* in) { encode_values(in, values.sizes(), *this, field, out, num_clipped); });
  return bins;
}

at::Tensor ContinuousCodec::outside(const at::Tensor& values) const {
  check_codec(*this);
  at::Tensor mask = at::empty(values.sizes(), at::kBool);
  bool* out = mask.mutable_data_ptr<bool>();
  with_values(values, [&]<class T>(const T* in) {
    const auto maps = unit_maps<T>(*this);
    for (int64_t i = 0; i < mask.numel(); ++i) out[i] = maps[static_cast<size_t>(i) % maps.size()].is_outside(in[i]);
  });
  return mask;
}

at::Tensor ContinuousCodec::decode(const at::Tensor& bins) const {
  const at::Tensor contiguous = bins.to(at::kLong).contiguous();
  at::Tensor values = at::empty(bins.sizes(), at::kFloat);
  const int64_t* in = contiguous.const_data_ptr<int64_t>();
  float* out = values.mutable_data_ptr<float>();
  const auto num_ranges = static_cast<int64_t>(low.size());
  for (int64_t i = 0; i < contiguous.numel(); ++i) out[i] = static_cast<float>(decode(in[i], i % num_ranges));
  return values;
}

}  // namespace mugato
