// A text tokenizer: tokenizer.json, GPT-2's vocab.json or merges.txt, a SentencePiece model.
#include "mugato/text/tokenizer.h"

#include "reading.h"

namespace mugato::fuzz {

void fuzz(Input input) {
  constexpr std::string_view kText = "Some text 12345,\n\n  with  d\xc3\xa9j\xc3\xa0 vu <s> and \xff\xfe.";
  static const Folder folder("bpe");
  static const auto vocabulary = read_file(kFixtures / "bpe/vocab.json"), merges = read_file(kFixtures / "bpe/merges.txt");
  const auto way = input.below(4);
  if (way == 1) folder.write("vocab.json", input.rest()), folder.write("merges.txt", merges);
  if (way == 2) folder.write("vocab.json", vocabulary), folder.write("merges.txt", input.rest());
  is_read([&] {
    const auto tokenizer = way == 1 || way == 2 ? text::load_tokenizer(folder / "vocab.json")
                                                : text::parse_tokenizer(std::string(input.rest()), "tokenizer");
    const auto ids = tokenizer->encode(kText);
    TORCH_CHECK(std::all_of(ids.begin(), ids.end(), [&](int32_t id) { return id >= 0 && id < tokenizer->size(); }));
    tokenizer->decode(ids);
    for (const int64_t id : {int64_t{0}, tokenizer->size() - 1}) tokenizer->piece(static_cast<int32_t>(id));
    text::parse_tokenizer(tokenizer->serialized(), "written");
  });
}

}  // namespace mugato::fuzz
