#pragma once

#include "mugato/train/metrics.h"

namespace mugato {

// For destructors, which cannot throw: a failure goes to standard error.
void flush_or_warn(MetricSink& sink) noexcept;

}  // namespace mugato
