#include "minari_storage.h"

#include "mugato/core/error.h"

namespace mugato::data {

void check_minari_numbers(const std::vector<int64_t>& numbers, const std::string& where, const std::string& prefix) {
  if (numbers.empty())
    throw Error("'" + where + "' has no episodes", "Minari writes " + prefix + "0, " + prefix + "1 and so on there");
  for (size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] != static_cast<int64_t>(i))
      throw Error("'" + where + "' has no " + prefix + std::to_string(i) + ", but has " + prefix + std::to_string(numbers[i]),
                  "episodes count from 0 without a gap: copy the data set again");
}

void check_minari_rows(const std::string& episode, const MinariLeaf& leaf, int64_t num_rows, int64_t num_steps) {
  const int64_t expected = leaf.num_rows(num_steps);
  if (num_rows == expected) return;
  throw Error(episode + ": '" + leaf.name() + "' has " + std::to_string(num_rows) + " rows, not " + std::to_string(expected) +
                  ": total_steps is " + std::to_string(num_steps),
              "actions and rewards have a row for every timestep, observations one more; was the writer interrupted?");
}

}  // namespace mugato::data
