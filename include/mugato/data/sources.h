// The [[data]] entries of a configuration, and what builds a Source from one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mugato/core/keys.h"
#include "mugato/core/registry.h"
#include "mugato/data/fields.h"
#include "mugato/data/mixture.h"
#include "mugato/data/source.h"
#include "mugato/env/environment.h"

namespace mugato::data {

// Keys that only some sources take: `mugato data sources` says which. A key that the entry's source does not take is an error.
struct ReadingOptions {
  std::string path;                  // file, folder, pattern or URL, as the source says
  double held_out = 0.05;            // share of the episodes kept for evaluation
  std::string text;                  // which text: a JSON field, a column, the extension of a tar's members
  std::string documents = "file";    // what is one document of plain text
  std::string images;                // folder of the images
  std::string captions;              // file of the captions
  std::string questions;             // file of the questions
  std::string annotations;           // file of the answers
  std::string tokenizer;             // the tokenizer that token ids were made with
  std::string token_type = "auto";   // of files without a header
  int64_t end_of_text = -1;          // id that ends documents; -1: the tokenizer's <|endoftext|>, </s> or header's own
  std::vector<std::string> cameras;  // which of several image fields; empty: all
};

struct DataEntry {
  std::string source;        // a name of the SourceRegistry
  std::string name;          // of the domain, in metrics; empty: the source's name
  double weight = 1.0;       // share of the draws
  double loss_weight = 1.0;  // weight of its targets in the loss
  int64_t max_steps = 0;     // longest window in timesteps; 0: as many as fit into the context
  ReadingOptions reading;
  std::map<std::string, FieldChange> fields;

  double return_filter = 0.0;  // which episodes are trained on: see selection.h
  int64_t top = 0;

  std::string normalize = "none";  // ranges of continuous fields: see ranges.h
  double normalize_quantile = 0.01;
  int64_t statistics_episodes = 1000;

  double prompt_share = 0.0;  // how documents are made: see documents.h
  double prompt_fraction = 0.5;
  bool prompt_loss = true;
  int64_t pairs = 1;

  std::string on_bad_sample = "error";  // or "skip"

  bool skips_broken() const { return on_bad_sample == "skip"; }
  const std::string& domain() const { return name.empty() ? source : name; }
};
void declare(KeyTable& keys, const std::string& prefix, DataEntry& entry);
void declare(KeyTable& keys, const std::string& prefix, ReadingOptions& options);

// The weights of entries in a mixture of sources of these sizes: see mixture.h.
std::vector<double> mixture_weights(const MixtureOptions& options, const std::vector<DataEntry>& entries,
                                    const std::vector<int64_t>& sizes);

// What a source reads, for `mugato data sources`, and the ReadingOptions it takes, by the names of their keys.
struct SourceHelp {
  std::string summary;
  std::vector<std::string> keys;
  bool takes(const std::string& key) const;
};

class SourceRegistry : public Registry<std::unique_ptr<Source>(const DataEntry&, Split)> {
 public:
  using Registry::Registry;

  // Throws Error when the name is taken. A source that takes `held_out` gives all its episodes, whatever the split:
  // build_source divides them.
  void add(const std::string& name, Builder builder, SourceHelp help = {});

  const SourceHelp& help(const std::string& name) const;  // of a registered name

 private:
  std::map<std::string, SourceHelp> help_;
};

// The source of an entry, before its episodes are selected: with its fields declared anew, and of a data set on disk the share
// that is (or is not) held out. Throws Error for a key that the source does not take.
std::unique_ptr<Source> build_source(const SourceRegistry& registry, const DataEntry& entry, Split split);

// The episodes of a world's expert as a source of the world's name.
void add_world(SourceRegistry& registry, const std::string& name, env::EnvironmentRegistry::Builder builder);

// Every environment of `worlds` as a source of its expert's episodes, "stories", and one source for each format on disk.
void register_builtins(SourceRegistry& registry, const env::EnvironmentRegistry& worlds);

}  // namespace mugato::data
