// A gymnasium space as Minari's metadata writes it, taken apart into its leaves, and the fields that they are by default.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "mugato/seq/episode.h"

namespace mugato::data {

struct SpaceLeaf {
  enum class Kind { kBox, kDiscrete, kMultiDiscrete, kMultiBinary, kText };
  struct Key {
    std::string name;  // key of a Dict, index of a Tuple
    bool of_tuple;

    auto operator<=>(const Key&) const = default;
  };

  Kind kind = Kind::kBox;
  std::vector<Key> path;          // empty: the space is one leaf
  std::string dtype;              // of a Box, NumPy's name
  std::vector<int64_t> shape;     // of one timestep
  std::vector<double> low, high;  // bounds, both included: one entry for each element, row-major, or one for all; none of text

  std::string name() const;  // the path, joined by "/"

  // uint8 of at least 32x32 with values from 0 to 255: what Minari may store as JPEG.
  bool is_image() const;
};

// The leaves in the order of the space. Throws Error that begins with `where` and names the leaf for a space of another type
// and for what does not fit together.
std::vector<SpaceLeaf> parse_space(const std::string& text, const std::string& where);

// How mugato reads a leaf by default; the configuration declares fields anew.
//   Text                                     text; of an action, an answer
//   Discrete, MultiDiscrete, MultiBinary     discrete, counted from the space's start
//   Box of uint8, (H,W) or (H,W,1|3|4) from 32x32 on      image
//   Box of uint8, (H,W,1..4), smaller        discrete; with several channels in cells (a grid of ids)
//   Box of integers, few values              discrete, counted from the lowest
//   Box                                      continuous: an observation by mu-law, an action linear between its bounds, of
//                                            [-1, 1] where it has none
struct MinariField {
  SpaceLeaf leaf;
  FieldSpec spec;
  at::Tensor start;  // what the discrete values are counted from, int64 of the shape of a timestep; undefined for 0
};
MinariField minari_field(SpaceLeaf leaf, std::string name, bool action);

}  // namespace mugato::data
