// Where episodes come from: random access over an index.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "mugato/seq/episode.h"

namespace mugato::data {

// One leaf field of an episode as its file holds it: in its own type, over its own length. For digests and for comparing with
// what the format's own package reads.
struct Leaf {
  std::string group;              // "observations", "actions"; empty: the leaf stands for itself ("rewards")
  std::string name;               // path within the group: "image", "0/left"; empty where the group is one leaf
  at::Tensor values;              // of any type, row-major; undefined for text
  std::vector<std::string> text;  // text alone

  std::vector<std::string> encoded = {};  // of pictures that the file holds encoded: what `values` were decoded from
};

struct RawEpisode {
  std::variant<std::string, int64_t> id;  // as the file calls it
  int64_t num_steps = 0;
  std::string attributes = "{}";  // what the file says about the episode: a JSON object
  std::vector<Leaf> leaves;
};

// How a source is read cheaply. A shard of a compressed archive or a row group of a Parquet file is read front to back: there
// the order of draws is a shuffle of runs and, within a run, of blocks (see EpisodeOrder), and the reader keeps the block.
struct ReadingOrder {
  std::vector<int64_t>
      runs;           // numbers of episodes of each run, in the order of indices; empty: any index is as cheap as another
  int64_t block = 1;  // consecutive episodes of a run that are shuffled among themselves
};

class Source {
 public:
  virtual ~Source() = default;

  virtual const Schema& schema() const = 0;

  // Number of episodes; kUnbounded for generators, which make a new one for every index.
  virtual int64_t size() const = 0;

  // The episode at an index in [0, size()). A pure function of the index, callable from several threads at once. Throws Error
  // that names file and episode for what is broken.
  virtual Episode get(int64_t index) const = 0;

  virtual ReadingOrder reading_order() const { return {}; }

  // For every episode the number of its group, such as the image that several captions are about; groups are held out whole.
  // Empty: every episode is a group.
  virtual std::vector<uint32_t> groups() const { return {}; }

  // The episode as its file holds it. By default the fields of get(), all in the group "fields".
  virtual RawEpisode raw(int64_t index) const;

  // What the files say about the whole of the data: a JSON object.
  virtual std::string about() const { return "{}"; }

  // The sum of the rewards of an episode. A reader that knows it without reading the episode overrides this.
  virtual double episode_return(int64_t index) const { return get(index).total_return; }

  static constexpr int64_t kUnbounded = INT64_MAX;
};

enum class Split { kTrain, kEvaluation };

}  // namespace mugato::data
