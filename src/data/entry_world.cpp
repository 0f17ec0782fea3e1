#include "mugato/data/entry_world.h"

#include "mugato/data/images.h"
#include "mugato/data/opening.h"
#include "mugato/data/rewards.h"

namespace mugato::data {
namespace {

class EntryWorld : public env::Environment {
 public:
  EntryWorld(std::unique_ptr<env::Environment> world, const DataEntry& entry)
      : world_(std::move(world)),
        images_(entry.images),
        reward_(entry.reward),
        schema_(shown_schema(world_->schema(), entry)) {}

  const Schema& schema() const override { return schema_; }
  Observation reset(uint64_t seed) override { return shown(world_->reset(seed), 0.0); }
  env::StepResult step(const Action& action) override {
    auto result = world_->step(action);
    result.observation = shown(std::move(result.observation), result.reward);
    return result;
  }
  Action expert() override { return world_->expert(); }
  int64_t max_steps() const override { return world_->max_steps(); }
  env::ReferenceScores reference_scores() const override { return world_->reference_scores(); }
  at::Tensor picture() const override { return world_->picture(); }

 private:
  Observation shown(Observation observation, double reward) const {
    for (const auto& field : schema_.fields)
      if (auto found = observation.find(field.name);
          images_.changes() && field.modality == Modality::kImage && found != observation.end())
        found->second = resize_images(std::get<at::Tensor>(found->second).unsqueeze(0), images_, field.name)[0];
    if (reward_) observation[kRewardField] = at::full({}, reward, at::kFloat);
    return observation;
  }

  std::unique_ptr<env::Environment> world_;
  ImageOptions images_;
  bool reward_;
  Schema schema_;
};

}  // namespace

std::unique_ptr<env::Environment> world_of_entry(std::unique_ptr<env::Environment> world, const DataEntry& entry) {
  if (!entry.images.changes() && !entry.reward) return world;
  return std::make_unique<EntryWorld>(std::move(world), entry);
}

}  // namespace mugato::data
