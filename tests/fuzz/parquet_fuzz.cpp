// A file of jat, in the layouts of its tasks, or a column of texts.
#include "tables.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  static const Folder folder;
  const std::string file = input.one_of(std::to_array({"jat/atari-breakout", "jat/babyai-go-to", "jat/conceptual-captions",
                                                       "jat/mujoco-hopper", "jat/ok-vqa", "jat/wikipedia", "parquet/whole"}));
  const bool is_text = input.below(4) == 0;
  folder.write("t.parquet", table_or_bytes(kFixtures / (file + ".parquet"), input));
  read_source(entry_of(is_text ? "text" : "jat", {.path = folder / "t.parquet"}));
}

}  // namespace mugato::fuzz
