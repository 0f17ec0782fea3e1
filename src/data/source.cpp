#include "mugato/data/source.h"

namespace mugato::data {

RawEpisode Source::raw(int64_t index) const {
  auto episode = get(index);
  RawEpisode raw{.id = episode.id, .num_steps = episode.num_steps};
  for (size_t i = 0; i < episode.fields.size(); ++i)
    raw.leaves.push_back({"fields", schema().fields[i].name, episode.fields[i].values, std::move(episode.fields[i].text)});
  return raw;
}

}  // namespace mugato::data
