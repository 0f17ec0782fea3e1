// Token ids that were made before: nanoGPT's and llm.c's .bin files.
#include <nlohmann/json.hpp>

#include "../file_list.h"
#include "formats.h"
#include "mugato/core/error.h"
#include "mugato/text/tokenizer.h"
#include "token_documents.h"

namespace mugato::data {
namespace {

class TokensSource : public Source {
 public:
  TokensSource(std::vector<TokenFile> files, int64_t end_of_text) : documents_(std::move(files), end_of_text) {
    schema_.fields = {{.name = "text", .modality = Modality::kText, .role = Role::kText}};
  }
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return documents_.size(); }

  Episode get(int64_t index) const override {
    const auto document = documents_.get(index);
    Episode episode{.num_steps = 1, .id = document.file + " id " + std::to_string(document.begin)};
    episode.fields = {{document.ids.unsqueeze(0), {}}};
    episode.starts = document.starts;
    episode.ends = document.ends;
    return episode;
  }

  std::string about() const override {
    auto about = nlohmann::json::object();
    for (const auto& file : documents_.files())
      about["files"].push_back({{"path", file.path.string()}, {"format", file.format}, {"tokens", file.count}});
    return about.dump();
  }

 private:
  Schema schema_;
  TokenDocuments documents_;
};

// The id that a tokenizer has for the end of a text.
int64_t end_of_text_of(const std::string& path) {
  const auto tokenizer = text::load_tokenizer(path);
  for (const std::string name : {"<|endoftext|>", "<|end_of_text|>", "</s>"})
    for (int64_t id = 0; id < tokenizer->size(); ++id)
      if (tokenizer->piece(static_cast<int32_t>(id)) == name) return id;
  throw Error(path + ": the tokenizer has no <|endoftext|>, <|end_of_text|> or </s>",
              "say which id ends documents: end_of_text = 0");
}

std::unique_ptr<Source> open_tokens(const DataEntry& entry, Split) {
  const auto& options = entry.reading;
  if (options.path.empty()) throw Error("the data source 'tokens' needs the key 'path'", "path = \"corpus/train_*.bin\"");
  std::vector<TokenFile> files;
  for (const auto& path : list_files(options.path)) files.push_back(inspect_token_file(path, options.token_type));
  const bool asks_tokenizer = options.end_of_text < 0 && !options.tokenizer.empty();
  return std::make_unique<TokensSource>(std::move(files),
                                        asks_tokenizer ? end_of_text_of(options.tokenizer) : options.end_of_text);
}

}  // namespace

void add_tokens(SourceRegistry& registry) {
  registry.add("tokens", open_tokens,
               {"token ids made before: nanoGPT's .bin, or llm.c's of GPT-2 and Llama 3, told apart by their headers; training "
                "needs the "
                "key tokenizer, since the files do not say what their ids mean",
                {"path", "held_out", "tokenizer", "token_type", "end_of_text"}});
}

}  // namespace mugato::data
