// Fields declared anew by the configuration, since files do not say all: a uint8 array may be a picture or a grid of ids.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mugato/core/keys.h"
#include "mugato/data/source.h"

namespace mugato::data {

// [data.fields.NAME]; what is empty stays as the source has it.
struct FieldChange {
  std::string modality;       // text, image, discrete, continuous
  std::string role;           // observation, prompt, action, answer, text; or none: the field is left out
  std::vector<double> range;  // continuous: [low, high] instead of mu-law; discrete: [0, highest value]
};
void declare(KeyTable& keys, const std::string& prefix, FieldChange& change);

// The source with these fields changed; itself when there is nothing to change. Values are converted with the modality: an
// image (E,H,W[,C]) to discrete cells of C channels and back, whole numbers between discrete and continuous. Throws Error for a
// name that the source does not have, a modality that the values cannot take, and a range that does not fit.
std::unique_ptr<Source> with_fields(std::unique_ptr<Source> source, const std::map<std::string, FieldChange>& changes);

}  // namespace mugato::data
