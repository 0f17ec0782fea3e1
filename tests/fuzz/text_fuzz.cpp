// Plain text and JSON lines.
#include "reading.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  static const Folder folder;
  const auto way = input.below(4);
  const auto* documents = std::to_array({"file", "line", "blank_line", "file"})[way];
  const auto file = way == 3 ? "t.jsonl" : "t.txt";
  folder.write(file, input.rest());
  read_source(entry_of("text", {.path = folder / file, .documents = documents}));
}

}  // namespace mugato::fuzz
