// One sample, looked at token by token.
#pragma once

#include <string>
#include <vector>

#include "mugato/run/run.h"

namespace mugato::run {

// A row of the token table.
struct TokenRow {
  int64_t slot = 0, document = 0, position = 0, timestep = 0;
  int64_t local = 0;  // -1: the shared position of actions
  std::string field;  // empty for separators and ends
  std::string modality;
  int64_t number = 0;        // of the token among those of its field in this timestep
  std::vector<int64_t> ids;  // vocabulary ids: one, several of a cell, none of a patch
  std::string value;         // decoded: a piece, a bin's centre in its own units, a discrete value, a patch's mean colour
  std::string patch;         // the position that the model reads: "row,column" buckets, the patch's number, or nothing
  int64_t target = -1;       // id that the hidden state here has to predict; -1: none (the loss mask)
  std::string target_value;  // decoded by the field it is written into
};

// The tokens of row 0 of a batch whose documents have this schema. `patch_position` is the embedder's option of this name.
std::vector<TokenRow> token_table(const MicroBatch& batch, const Schema& schema, const Tokenizer& tokenizer,
                                  const std::string& patch_position = "paper");

// A sample as training would see it: the window drawn for the index-th training episode of a [[data]] entry.
struct InspectedSample {
  std::shared_ptr<const Schema> schema;
  Episode episode;
  Sample sample;
  MicroBatch batch;
};
InspectedSample inspect_sample(const Parts& parts, const Registries& registries, const std::string& entry, int64_t index);

// The sample as the model gets it, for people, uint8 (H,W,3): a panel for each timestep, images put together again from their
// patches with lines between these, all other fields decoded from their ids. Letters beyond ASCII are drawn as '?'.
at::Tensor draw(const Sample& sample, const Tokenizer& tokenizer);

}  // namespace mugato::run
