// A file of a LeRobot data set: of its tables, its metadata or its videos.
#include "tables.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  constexpr const char* kFiles[] = {"v2.1/meta/info.json",
                                    "v2.1/meta/episodes.jsonl",
                                    "v2.1/meta/episodes_stats.jsonl",
                                    "v2.1/meta/tasks.jsonl",
                                    "v2.1/data/chunk-000/episode_000000.parquet",
                                    "v2.1/videos/chunk-000/observation.images.top/episode_000000.mp4",
                                    "v3.0/meta/info.json",
                                    "v3.0/meta/stats.json",
                                    "v3.0/meta/tasks.parquet",
                                    "v3.0/meta/episodes/chunk-000/file-000.parquet",
                                    "v3.0/data/chunk-000/file-000.parquet",
                                    "v3.0/videos/observation.images.top/chunk-000/file-000.mp4"};
  static const Folder folder("lerobot");
  const std::string file = input.one_of(kFiles);
  folder.write(file, table_or_bytes(kFixtures / "lerobot" / file, input));
  std::vector<std::string> cameras;
  if (!file.ends_with(".mp4")) cameras = {"wrist"};  // pictures in the table; videos take long to decode
  read_source(entry_of("lerobot", {.path = folder / file.substr(0, 4), .cameras = cameras}));
  folder.write(file, read_file(kFixtures / "lerobot" / file));
}

}  // namespace mugato::fuzz
