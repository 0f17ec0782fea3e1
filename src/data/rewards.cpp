#include "mugato/data/rewards.h"

namespace mugato::data {

Schema with_reward(Schema schema, const std::string& domain) {
  for (const auto& field : schema.fields)
    if (field.name == kRewardField)
      throw Error("[[data]] entry '" + domain + "' has a field 'reward' already", "leave out reward = true");
  schema.fields.push_back({.name = kRewardField, .modality = Modality::kContinuous, .mu_law = true});
  return schema;
}

Episode RewardSource::get(int64_t index) const {
  auto episode = inner().get(index);
  if (!episode.rewards.defined() || episode.rewards.dim() != 1 || episode.rewards.size(0) != episode.num_steps)
    throw Error(episode.id + " has no rewards", "its source gives none, or not one a timestep: leave out reward = true");
  auto before = at::zeros({episode.num_steps}, at::kFloat);
  before.narrow(0, 1, episode.num_steps - 1).copy_(episode.rewards.narrow(0, 0, episode.num_steps - 1));
  episode.fields.push_back({before, {}});
  return episode;
}

}  // namespace mugato::data
