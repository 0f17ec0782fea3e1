// The reward as an observation: at every timestep that of the timestep before, 0 at the first.
#pragma once

#include "mugato/data/decorator.h"

namespace mugato::data {

inline constexpr const char* kRewardField = "reward";

// The schema with a continuous observation `reward`. Throws Error when there is a field of this name already.
Schema with_reward(Schema schema, const std::string& domain);

// Throws Error for an episode without rewards.
class RewardSource : public SourceDecorator {
 public:
  RewardSource(std::shared_ptr<const Source> inner, const std::string& domain)
      : SourceDecorator(inner), schema_(with_reward(inner->schema(), domain)) {}
  const Schema& schema() const override { return schema_; }
  Episode get(int64_t index) const override;

 private:
  Schema schema_;
};

}  // namespace mugato::data
