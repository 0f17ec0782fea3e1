// The questions or the annotations of VQAv2, or the questions of A-OKVQA.
#include "reading.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  static const Folder folder("vqa");
  const std::string questions = "v2_OpenEnded_mscoco_val2014_questions.json",
                    annotations = "v2_mscoco_val2014_annotations.json";
  const auto form = input.below(3);
  folder.write("input.json", input.rest());
  read_source(entry_of("vqa", {.images = folder / "val2014",
                               .questions = folder / (form == 1 ? questions : "input.json"),
                               .annotations = form == 2 ? "" : folder / (form == 1 ? "input.json" : annotations)}));
}

}  // namespace mugato::fuzz
