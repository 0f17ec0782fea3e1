// What the files under meta/ of a LeRobot data set say, of the layouts v2.1 (a file an episode) and v3.0 (many a file).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage.h"

namespace mugato::data {

struct LeRobotFeature {
  std::string name;   // "observation.state", "action", "observation.images.top"
  std::string dtype;  // NumPy's name, "string", "image", "video", "language"
  std::vector<int64_t> shape;
  bool depth_map = false;
  bool channels_first = false;
  std::optional<std::pair<double, double>> range;  // of all its values, as the statistics say

  bool is_camera() const { return dtype == "image" || dtype == "video"; }
};

struct LeRobotEpisode {
  int64_t index = 0, length = 0;
  std::string data;       // path of its table
  int64_t first_row = 0;  // in that table
  struct Video {
    std::string path;
    double begin = 0.0;  // seconds
  };
  std::map<std::string, Video> videos;  // by feature
};

struct LeRobotInfo {
  std::string version;
  double fps = 0.0;
  std::vector<LeRobotFeature> features;
  std::map<int64_t, std::string> tasks;
  std::vector<LeRobotEpisode> episodes;  // by table, and in it by row: the order in which they are read best

  // Throws Error that names the file, and the key or line, for what is missing or broken, for another version, and for paths
  // that lead out of the folder.
  static LeRobotInfo read(const Storage& storage);
};

// A path template of info.json with its {fields} filled in: "{name}", "{number:06d}". Throws Error for an unknown field and for
// a path that is absolute or goes up.
std::string filled(const std::string& pattern, const std::map<std::string, std::string>& texts,
                   const std::map<std::string, int64_t>& numbers, const std::string& where);

}  // namespace mugato::data
