// The file of the captions of a folder of images, in all its forms.
#include "reading.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  static const Folder folder("images");
  const std::string file = input.one_of(std::to_array({"c.jsonl", "c.csv", "c.txt", "c.tsv", "c.json"}));
  folder.write(file, input.rest());
  read_source(entry_of("images", {.path = folder.path(), .captions = folder / file}));
}

}  // namespace mugato::fuzz
