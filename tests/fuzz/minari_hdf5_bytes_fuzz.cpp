// A file of HDF5 with a few bytes changed, or cut. What is found here is mostly the library's: see minari_hdf5_fuzz.cpp for
// ours.
#include "reading.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  constexpr const char* kFile = "data/main_data.hdf5";
  static const Folder folder("minari/control/pendulum/expert-v0");
  static const auto whole = read_file(folder / kFile);
  auto bytes = whole;
  while (input.rest().size() >= 6) {
    const auto place = input.number<uint32_t>() % bytes.size();
    const auto kind = input.below(16);
    if (kind == 0) bytes.resize(place + 1);
    else
      for (size_t i = 0; i < kind && place + i < bytes.size(); ++i) bytes[place + i] = input.number<char>();
  }
  folder.write(kFile, bytes);
  read_source(entry_of("minari", {.path = folder.path()}));
}

}  // namespace mugato::fuzz
