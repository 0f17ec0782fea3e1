// The built-in worlds as sources: a new episode of the expert for every index.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mugato/data/source.h"
#include "mugato/env/environment.h"
#include "mugato/env/stories.h"

namespace mugato::data {

class WorldSource : public Source {
 public:
  using Builder = std::function<std::unique_ptr<env::Environment>()>;

  WorldSource(std::string name, Builder builder, Split split);
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return kUnbounded; }
  Episode get(int64_t index) const override;

 private:
  std::string name_;
  Builder builder_;
  Split split_;
  Schema schema_;
  mutable std::mutex mutex_;  // guards idle_: worlds that no thread plays at the moment
  mutable std::vector<std::unique_ptr<env::Environment>> idle_;
};

// Text documents of the grammar, one timestep each: the field `text`.
class StoriesSource : public Source {
 public:
  explicit StoriesSource(Split split);
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return kUnbounded; }
  Episode get(int64_t index) const override;

  const env::Stories& stories() const { return stories_; }

 private:
  Split split_;
  Schema schema_;
  env::Stories stories_;
};

// The seed of the index-th episode of a split: training and evaluation never share one.
constexpr uint64_t world_seed(Split split, int64_t index) {
  const auto number = static_cast<uint64_t>(index);
  return split == Split::kTrain ? env::train_seed(number) : env::evaluation_seed(number);
}

}  // namespace mugato::data
