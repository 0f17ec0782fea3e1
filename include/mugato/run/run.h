// A run put together: what a configuration names, built; and a trained run, loaded from its folder.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mugato/act/policy.h"
#include "mugato/data/facts.h"
#include "mugato/data/loader.h"
#include "mugato/dist/group.h"
#include "mugato/run/config.h"

namespace mugato::run {

// What names in a configuration can mean. Add your own before training or loading.
struct Registries {
  SequenceModelRegistry sequence_models{"sequence model"};
  env::EnvironmentRegistry environments{"environment"};
  data::SourceRegistry sources{"data source"};

  Registries();  // with the built-in ones
  Registries(const Registries&) = delete;
  Registries& operator=(const Registries&) = delete;

  // A world of yours, to be played and filmed, and trained on by `source = "name"`. Throws Error when the name is taken.
  void add_world(const std::string& name, const env::EnvironmentRegistry::Builder& builder);
};

// The parts that training, evaluation and acting share.
struct Parts {
  RunConfig config;
  std::shared_ptr<const TextTokenizer> text;  // null when tokens.text is empty
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const Sequencer> sequencer;
  std::shared_ptr<Agent> agent;
  at::Device device = at::kCPU;

  // Builds everything from a configuration, on run.device or on a given one; weights are drawn by run.seed.
  static Parts build(const RunConfig& config, const Registries& registries, std::optional<at::Device> device = {});

  // The same with parameters that have a shape and no memory: counts even the largest preset in no time.
  static Parts shapes(const RunConfig& config, const Registries& registries);

  // A trained run: RUN, or one of its checkpoint folders. The newest complete checkpoint is taken. `assignments` may set what
  // training did not fix, see settable_keys(); throws Error for another key.
  static Parts load(const std::filesystem::path& run, const Registries& registries,
                    const std::vector<std::string>& assignments = {});

  // The sources to train on, with the facts of them filled in; where a checkpoint is given, what it
  // saved of them stays.
  std::vector<std::shared_ptr<const data::Source>> open_training(const Registries& registries,
                                                                 const std::optional<std::filesystem::path>& saved = {});

  std::vector<std::shared_ptr<const data::Source>> sources(const Registries& registries, data::Split split) const;

  data::EntryFacts facts_of(const std::string& domain) const;  // none: of a domain that it was not trained on

  // For the rows of one process of a group. Throws Error when its processes can not share train.rows out evenly.
  data::LoaderOptions loader_options(const dist::Group& group = {}) const;

  // A policy with the memory that the windows of the [[data]] entry `domain` had, and its measured ranges; as much as the
  // context holds for another name.
  act::Policy policy(const Schema& schema, const std::string& domain, int64_t sessions) const;

  // The share of every [[data]] entry in the draws of training, not normalised.
  std::vector<double> weights() const;

  data::DataFacts facts = {};             // of the data that it is trained on
  int64_t step = 0;                       // updates that made these weights
  std::filesystem::path checkpoint = {};  // where they came from
};

// The keys that may be set for a run that is trained already: its device, and how it acts.
std::vector<std::string> settable_keys();

// Throws Error for an assignment "key=value" to a key that is not in `settable`.
void check_settable(const std::vector<std::string>& assignments, const std::vector<std::string>& settable);

// Trains by a configuration into config.out; with `resume`, from its newest checkpoint. Together with the other processes of
// the launch that the environment tells of: they share the rows of a step, and rank 0 writes what there is to write.
struct TrainResult {
  int64_t step = 0;
  int signal = 0;    // that stopped it; 0: none did
  int64_t rank = 0;  // of this process
};
TrainResult train(const RunConfig& config, const Registries& registries, bool resume);

}  // namespace mugato::run
