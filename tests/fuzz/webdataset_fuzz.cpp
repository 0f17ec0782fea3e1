// A tar, or a compressed one.
#include "reading.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  static const Folder folder;
  const auto* text = input.flag() ? "json:caption" : "";
  folder.write("shard.tar", input.rest());
  read_source(entry_of("webdataset", {.path = folder / "shard.tar", .text = text}));
}

}  // namespace mugato::fuzz
