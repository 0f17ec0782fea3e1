// What a run is worth: losses on held-out data, and scores in the built-in worlds.
#pragma once

#include <map>
#include <string>

#include "mugato/act/rollout.h"
#include "mugato/run/run.h"

namespace mugato::run {

// Teacher-forced loss on held-out episodes of every [[data]] entry: "loss/DOMAIN" in nats a target; "accuracy/DOMAIN", the
// share of targets that are the most likely id; and "loss", weighted like training: with the mean nll n_d and the mean number
// of targets t_d of a document, sum_d weight_d loss_weight_d n_d / sum_d weight_d loss_weight_d t_d.
std::map<std::string, double> held_out_losses(const Parts& parts, const Registries& registries, int64_t documents);

// The same of evaluation sources that are open already, parallel to config.data: opening may read much. The processes of a
// group share the documents, and all have the result.
std::map<std::string, double> held_out_losses(const Parts& parts,
                                              const std::vector<std::shared_ptr<const data::Source>>& sources,
                                              int64_t documents, dist::Group& group);

// A line for every [[data]] entry that has nothing to evaluate on, such as one with too few episodes for its share.
std::vector<std::string> lines_of_nothing_held_out(const Parts& parts,
                                                   const std::vector<std::shared_ptr<const data::Source>>& sources);

// Plays a world on evaluation seeds first, first + 1, ... as an entry of [[data]] was trained on it: the entry of this name, or
// the first from the world of this name. Throws Error for a world that is unknown, and for one that the run never saw.
struct WorldScores {
  act::Scores scores;
  std::vector<act::EpisodeResult> episodes;
};
WorldScores play(const Parts& parts, const Registries& registries, const std::string& name, int64_t episodes, int64_t first = 0,
                 const act::Watcher& watcher = {});

// Stories on held-out documents: nats of the model, of the grammar and of random words per document.
struct StoriesScores {
  double loss = 0.0, entropy = 0.0, random = 0.0;
  double loss_over_entropy() const { return loss / entropy; }
};
StoriesScores score_stories(const Parts& parts, int64_t documents);

}  // namespace mugato::run
