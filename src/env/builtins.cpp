#include "mugato/env/environment.h"
#include "mugato/env/four_rooms.h"
#include "mugato/env/point_maze.h"
#include "mugato/env/shapes_qa.h"

namespace mugato::env {

void register_builtins(EnvironmentRegistry& registry) {
  registry.add("four_rooms", [] { return std::make_unique<FourRooms>(); });
  registry.add("point_maze", [] { return std::make_unique<PointMaze>(); });
  registry.add("shapes_qa", [] { return std::make_unique<ShapesQa>(); });
}

}  // namespace mugato::env
