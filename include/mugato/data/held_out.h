// A data set in two: episodes to train on, and episodes held out for evaluation.
#pragma once

#include <memory>

#include "mugato/data/source.h"

namespace mugato::data {

// Every k-th episode is held out, k = 1 / share rounded, or every k-th group of a source that has groups; a share of 0 holds
// none out. Both halves keep the order of the whole.
std::unique_ptr<Source> divide(std::unique_ptr<Source> source, double share, Split split);

}  // namespace mugato::data
