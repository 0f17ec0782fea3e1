// A file of safetensors.
#include "mugato/core/safetensors.h"

#include "reading.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  static const Folder folder;
  folder.write("t.safetensors", input.rest());
  is_read([] { SafetensorsReader(folder / "t.safetensors").read_all(); });
}

}  // namespace mugato::fuzz
