// Token ids of nanoGPT and llm.c.
#include "reading.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  static const Folder folder;
  const auto* type = input.one_of(std::to_array({"auto", "uint16", "uint32"}));
  const int64_t end_of_text = input.flag() ? 0 : 50256;
  folder.write("ids.bin", input.rest());
  read_source(entry_of("tokens", {.path = folder / "ids.bin", .token_type = type, .end_of_text = end_of_text}));
}

}  // namespace mugato::fuzz
