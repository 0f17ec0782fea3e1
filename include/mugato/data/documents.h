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
    Tokenizer::Patches patches = Tokenizer::Patches::kCut;
  };
  // Throws Error for a schema that the vocabulary can not hold, and for keys of the entry that do not suit the source.
  DocumentMaker(DataEntry entry, std::shared_ptr<const Source> source, const Tokenizer& tokenizer, const Sequencer& sequencer,
                Options options);

  struct Made {
    std::vector<Sample> documents;
    int64_t num_broken = 0;  // samples left out, of an entry that skips them
    std::string problem;     // what the first of them said
  };
  // What draw `number` makes of episodes, as many as episodes_per_draw(): a pure function of both and the seed. A sample that
  // can not be made throws Error, which names the entry, or is left out and counted, as the entry says.
  //
  // Of one episode comes one document: a window, after a prompt from another episode (any but this one, where there are two) in
  // a share of the draws (paper 2.3). A prompt and what it continues are one document. There is none where no timestep of it
  // fits beside the longest timestep of what it is to continue.
  //
  // Of several episodes of a timestep each, image-text pairs, comes one document with a timestep for each, or as few as hold
  // them all.
  Made make(int64_t number, std::span<const int64_t> episodes) const;

  int64_t episodes_per_draw() const { return entry_.pairs; }

  const std::shared_ptr<const Schema>& schema() const { return schema_; }

 private:
  Sample window(int64_t number, int64_t episode) const;
  Sample pair(int64_t episode) const;
  int64_t another(int64_t episode, Random& random) const;
  void join_pairs(std::vector<Sample> pairs, std::vector<Sample>& documents) const;

  DataEntry entry_;
  std::shared_ptr<const Source> source_;
  Options options_;
  std::shared_ptr<const Schema> schema_;
  const Sequencer& sequencer_;
  WindowCutter cutter_;
};

}  // namespace mugato::data
