// A world as a [[data]] entry shows it: what an agent that was trained on the entry plays.
#pragma once

#include <memory>

#include "mugato/data/sources.h"
#include "mugato/env/environment.h"

namespace mugato::data {

// With the entry's sizes of images and, where it asks for it, the reward among the observations. The world itself where the
// entry changes nothing.
std::unique_ptr<env::Environment> world_of_entry(std::unique_ptr<env::Environment> world, const DataEntry& entry);

}  // namespace mugato::data
