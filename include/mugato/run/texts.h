// The texts of a configuration's data, as a text tokenizer is trained on them.
#pragma once

#include "mugato/run/run.h"
#include "mugato/text/sentencepiece.h"

namespace mugato::run {

// Every text of the text fields of `documents` training episodes at most, drawn by the weights of the [[data]] entries that
// have such fields, none of them twice. A text that stays the same from timestep to timestep comes once. One episode is in
// memory at a time; `registries` has to outlive the stream. Throws Error when no entry of positive weight has text.
text::TextStream training_texts(const RunConfig& config, const Registries& registries, int64_t documents);

}  // namespace mugato::run
