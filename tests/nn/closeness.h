// Numeric comparison with a tolerance from norms and epsilon, that reports the worst element.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace mugato::testing {

// Unit roundoff of the type that values were computed in.
inline double epsilon_of(at::ScalarType type) {
  if (type == at::kDouble) return std::numeric_limits<double>::epsilon();
  return type == at::kBFloat16 ? 1.0 / 128.0 : double{std::numeric_limits<float>::epsilon()};
}

// Each element may be off by factor * epsilon * (its own size + the root mean square of its tensor): an element that is a small
// difference of large terms carries the rounding of those terms. epsilon is of the coarser of the two types.
inline void expect_close(const at::Tensor& actual, const at::Tensor& expected, const std::string& what, double factor = 256) {
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  if (expected.numel() == 0) return;
  const double epsilon = std::max(epsilon_of(actual.scalar_type()), epsilon_of(expected.scalar_type()));
  const auto a = actual.detach().to(at::kDouble).flatten(), e = expected.detach().to(at::kDouble).flatten();
  const auto bound = (e.abs() + e.norm() / std::sqrt(static_cast<double>(e.numel()))) * factor * epsilon;
  const auto excess = (a - e).abs() - bound;
  // NaN in either is an excess too.
  const int64_t worst = excess.nan_to_num(std::numeric_limits<double>::infinity()).argmax().item<int64_t>();
  EXPECT_TRUE((excess <= 0).all().item<bool>())
      << what << ": worst element " << worst << " of " << e.numel() << " is " << a[worst].item<double>() << ", expected "
      << e[worst].item<double>() << ", allowed to be off by " << bound[worst].item<double>();
}

}  // namespace mugato::testing
