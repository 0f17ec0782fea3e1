// A space, the metadata of a Minari data set, or that of one of its episodes.
#include "reading.h"
#include "src/data/sources/minari_spaces.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  const auto way = input.below(3);
  if (way == 0) {
    is_read([&] {
      Schema schema;
      for (const bool action : {false, true})
        for (auto& leaf : data::parse_space(std::string(input.rest()), "space")) {
          const auto field = data::minari_field(std::move(leaf), (action ? "action " : "") + leaf.name(), action);
          schema.fields.push_back(field.spec);
        }
      validate(schema, Vocabulary());
    });
    return;
  }
  static const Folder folder("minari_arrow/arrow-pair-v0");
  const auto* file = way == 1 ? "data/metadata.json" : "data/0/metadata.json";
  const auto whole = read_file(kFixtures / "minari_arrow/arrow-pair-v0" / file);
  folder.write(file, input.rest());
  read_source(entry_of("minari", {.path = folder.path()}));
  folder.write(file, whole);
}

}  // namespace mugato::fuzz
