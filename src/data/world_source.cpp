#include "mugato/data/world_source.h"

namespace mugato::data {

WorldSource::WorldSource(std::string name, Builder builder, Split split)
    : name_(std::move(name)), builder_(std::move(builder)), split_(split) {
  idle_.push_back(builder_());
  schema_ = idle_.back()->schema();
}

Episode WorldSource::get(int64_t index) const {
  std::unique_ptr<env::Environment> world;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      world = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!world) world = builder_();
  auto episode = env::demonstrate(*world, world_seed(split_, index));
  episode.id = name_ + " episode " + std::to_string(index);
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(world));
  return episode;
}

StoriesSource::StoriesSource(Split split) : split_(split) {
  schema_.fields = {{.name = "text", .modality = Modality::kText, .role = Role::kText}};
}

Episode StoriesSource::get(int64_t index) const {
  Episode episode;
  episode.num_steps = 1;
  episode.fields.push_back({{}, {stories_.tell(world_seed(split_, index)).text}});
  episode.id = "stories document " + std::to_string(index);
  return episode;
}

}  // namespace mugato::data
