// The (batch, episodes, tokens, channels) view of samples, for people, tests and research code. The hot path goes from
// Timesteps to packed rows and never pads like this.
// Shape legend: B samples, E timesteps, T tokens of a field, C channels, D width.
#pragma once

#include <map>
#include <span>
#include <string>

#include "mugato/seq/sequencer.h"

namespace mugato {

struct BatchField {
  at::Tensor tokens;  // (B,E,T,C), zeros where not valid
  at::Tensor valid;   // (B,E,T) bool
};

struct Batch {
  std::shared_ptr<const Schema> schema;
  std::vector<BatchField> fields;  // parallel to the schema's fields
};

// Pads E and T to the longest sample. All samples are of one schema (TORCH_CHECK).
Batch collate(std::span<const Sample> samples);

// Concatenates embedded fields (B,E,T_i,D) on T in the order given and flattens to (B, E * sum T_i, D), as the worked example
// of the (B,E,T,C) contract does.
at::Tensor concatenate_and_flatten(std::span<const at::Tensor> fields_BETD);

}  // namespace mugato
