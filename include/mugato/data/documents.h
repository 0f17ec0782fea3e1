// Draws of one [[data]] entry to documents.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mugato/data/sources.h"
#include "mugato/data/windows.h"

namespace mugato::data {

class DocumentMaker {
 public:
  struct Options {
    int64_t context = 1024;  // most tokens of a document
    int64_t domain = 0;
    uint64_t seed = 0;
  };
  // Throws Error for a schema that the vocabulary can not hold, and for keys of the entry that do not suit the source.
  DocumentMaker(DataEntry entry, std::shared_ptr<const Source> source, const Tokenizer& tokenizer, const Sequencer& sequencer,
                Options options);

  struct Made {
    std::vector<Sample> documents;
    int64_t num_broken = 0;  // samples left out, of an entry that skips them
    std::string problem;     // what the first of them said
  };
  // What draw `number` makes of an episode: a pure function of both and the seed. A sample that can not be made throws Error,
  // which names the entry, or is left out and counted, as the entry says.
  Made make(int64_t number, int64_t episode) const;

  const std::shared_ptr<const Schema>& schema() const { return schema_; }

 private:
  Sample document(int64_t number, int64_t episode) const;

  DataEntry entry_;
  std::shared_ptr<const Source> source_;
  Options options_;
  std::shared_ptr<const Schema> schema_;
  WindowCutter cutter_;
};

}  // namespace mugato::data
