// From a [[data]] entry to the source that it describes: built by name, then decorated as its keys say.
#pragma once

#include "mugato/data/facts.h"
#include "mugato/data/sources.h"

namespace mugato::data {

// The episodes to train on. Fills in the facts of them; those that are there already stay.
std::shared_ptr<const Source> open_training(const SourceRegistry& registry, const DataEntry& entry, EntryFacts& facts);

// Held-out episodes, none of them left out by their return.
std::shared_ptr<const Source> open_evaluation(const SourceRegistry& registry, const DataEntry& entry, const EntryFacts& facts);

// The schema by which a policy reads and writes in a world that the entry was trained on: with the measured ranges.
Schema acting_schema(const Schema& schema, const DataEntry& entry, const EntryFacts& facts);

}  // namespace mugato::data
