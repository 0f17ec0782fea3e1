// The [[data]] entries of a configuration, and what builds a Source from one.
#pragma once

#include <memory>
#include <string>

#include "mugato/core/keys.h"
#include "mugato/core/registry.h"
#include "mugato/data/images.h"
#include "mugato/data/mixture.h"
#include "mugato/data/source.h"
#include "mugato/env/environment.h"

namespace mugato::data {

struct DataEntry {
  std::string source;        // a name of the SourceRegistry
  std::string name;          // of the domain, in metrics; empty: the source's name
  double weight = 1.0;       // share of the draws
  double loss_weight = 1.0;  // weight of its targets in the loss
  int64_t max_steps = 0;     // longest window in timesteps; 0: as many as fit into the context

  double return_filter = 0.0;  // which episodes are trained on: see selection.h
  int64_t top = 0;

  std::string normalize = "none";  // ranges of continuous fields: see ranges.h
  double normalize_quantile = 0.01;
  int64_t statistics_episodes = 1000;

  ImageOptions images;  // see images.h
  bool reward = false;  // whether the reward is observed: see rewards.h

  double prompt_share = 0.0;  // how documents are made: see documents.h
  double prompt_fraction = 0.5;
  bool prompt_loss = true;
  int64_t pairs = 1;

  std::string on_bad_sample = "error";  // or "skip"

  bool skips_broken() const { return on_bad_sample == "skip"; }
  const std::string& domain() const { return name.empty() ? source : name; }
};
void declare(KeyTable& keys, const std::string& prefix, DataEntry& entry);

// The weights of entries in a mixture of sources of these sizes: see mixture.h.
std::vector<double> mixture_weights(const MixtureOptions& options, const std::vector<DataEntry>& entries,
                                    const std::vector<int64_t>& sizes);

using SourceRegistry = Registry<std::unique_ptr<Source>(const DataEntry&, Split)>;

// The episodes of a world's expert as a source of the world's name.
void add_world(SourceRegistry& registry, const std::string& name, env::EnvironmentRegistry::Builder builder);

// Every environment of `worlds` as a source of its expert's episodes, and "stories".
void register_builtins(SourceRegistry& registry, const env::EnvironmentRegistry& worlds);

}  // namespace mugato::data
