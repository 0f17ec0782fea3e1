// Where libFuzzer, or replay.cpp, calls a target.
#include "input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mugato::fuzz::fuzz({data, size});
  return 0;
}
