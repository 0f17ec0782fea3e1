// Continuous values to bins and back (paper 2.1, appendix B): mu-law for observations, clip to [-1, 1], uniform bins.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mugato {

// F(x) = sgn(x) log(|x| mu + 1) / log(M mu + 1), mu = 100, M = 256: |x| = M maps to 1.
inline constexpr double kMu = 100.0, kMuLawM = 256.0;
double mu_law(double x);
double mu_law_inverse(double y);

struct ContinuousCodec {
  bool mu_law = false;                             // else linear from [low, high] to [-1, 1]
  std::vector<double> low = {-1.0}, high = {1.0};  // of all K values of a timestep, or K of each; ignored with mu_law
  int64_t num_bins = 1024;

  // Of the k-th value of a timestep.
  double to_unit(double value, int64_t k = 0) const;   // clipped to [-1, 1]
  double from_unit(double unit, int64_t k = 0) const;  // the inverse, without clipping
  int64_t encode(double value, int64_t k = 0) const;   // bin in [0, num_bins); +1 is in the last one. value must be finite
  double decode(int64_t bin, int64_t k = 0) const;     // the value at the bin's centre
  double bin_center(int64_t bin) const;                // in [-1, 1]

  // Any floating or integer tensor, of whole timesteps one after the other, to int64 bins of the same shape. Throws Error that
  // names `field` and the flat index when a value is NaN or infinite. *num_clipped, when given, grows by the number of values
  // outside of the range.
  at::Tensor encode(const at::Tensor& values, const std::string& field, int64_t* num_clipped = nullptr) const;
  // Which values of such a tensor lie outside of the range and are clipped, as bool of the same shape. Limits are compared in
  // float32 with float32 values: a float 0.4 is not beyond a limit of 0.4.
  at::Tensor outside(const at::Tensor& values) const;
  at::Tensor decode(const at::Tensor& bins) const;  // float32; TORCH_CHECK when a bin is out of range
};

}  // namespace mugato
