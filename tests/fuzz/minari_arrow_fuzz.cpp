// The file of an episode of Minari in Arrow or Parquet.
#include "tables.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  static const auto names = std::to_array({"arrow-box-v0", "arrow-mixed-v0", "arrow-mixed-raw-v0", "arrow-pair-v0",
                                           "parquet-box-v0", "parquet-mixed-v0", "parquet-pair-v0"});
  static const auto sets = [] {
    std::vector<std::unique_ptr<Folder>> folders;
    for (const std::string name : names) folders.push_back(std::make_unique<Folder>("minari_arrow/" + name));
    return folders;
  }();
  const auto which = input.below(names.size());
  const std::string set = names[which],
                    file = "data/0/part-0" + (set.starts_with("arrow") ? std::string(".arrow") : ".parquet");
  sets[which]->write(file, table_or_bytes(kFixtures / "minari_arrow" / set / file, input));
  read_source(entry_of("minari", {.path = sets[which]->path()}));
}

}  // namespace mugato::fuzz
