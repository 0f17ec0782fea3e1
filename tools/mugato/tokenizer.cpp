#include <charconv>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/run/texts.h"
#include "mugato/text/tokenizer.h"

namespace mugato::program {
namespace {

struct TrainArguments {
  std::string config, out;
  int64_t documents = 100'000;
  text::SentencePieceOptions options;
  std::vector<std::string> assignments;
};

void train(const TrainArguments& arguments) {
  check_writable(arguments.out);
  const run::Registries registries;
  const auto config = run::read_config(arguments.config, arguments.assignments);
  int64_t num_texts = 0, num_bytes = 0;
  const auto texts = run::training_texts(config, registries, arguments.documents);
  const auto model = text::train_sentencepiece(
      [&] {
        auto text = texts();
        if (text) ++num_texts, num_bytes += static_cast<int64_t>(text->size());
        return text;
      },
      arguments.options);
  const auto tokenizer = text::parse_tokenizer(model, arguments.out);
  write_file_atomically(arguments.out, model);
  std::fprintf(stderr, "trained a tokenizer of %lld pieces on %lld texts, %lld bytes: %s\n",
               static_cast<long long>(tokenizer->size()), static_cast<long long>(num_texts), static_cast<long long>(num_bytes),
               arguments.out.c_str());
}

struct EncodeArguments {
  std::string model, text;
  bool has_text = false, pieces = false, json = false;
};

void print_ids(const TextTokenizer& tokenizer, std::string_view text, const EncodeArguments& arguments) {
  const auto ids = tokenizer.encode(text);
  if (arguments.json) {
    nlohmann::ordered_json line = {{"ids", ids}, {"pieces", nlohmann::json::array()}};
    for (const int32_t id : ids) line["pieces"].push_back(tokenizer.piece(id));
    std::printf("%s\n", line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
    return;
  }
  std::string line;
  for (const int32_t id : ids) {
    line += (line.empty() ? "" : " ") + std::to_string(id);
    if (arguments.pieces) line += ":" + tokenizer.piece(id);
  }
  std::printf("%s\n", line.c_str());
}

void encode(const EncodeArguments& arguments) {
  const auto tokenizer = text::load_tokenizer(arguments.model);
  if (arguments.has_text) return print_ids(*tokenizer, arguments.text, arguments);
  for (std::string line; std::getline(std::cin, line);) print_ids(*tokenizer, line, arguments);
}

// "12 7 300"; `where` begins the message.
std::vector<int32_t> parse_ids(std::string_view line, const std::string& where) {
  std::vector<int32_t> ids;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    if (line.empty()) return ids;
    const auto word = line.substr(0, line.find_first_of(" \t\r"));
    int32_t id = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (error != std::errc() || end != word.data() + word.size())
      throw Error(where + "'" + std::string(word.substr(0, 40)) + "' is not an id", "ids are numbers with spaces between them");
    ids.push_back(id);
    line.remove_prefix(word.size());
  }
}

void decode(const std::string& model, const std::vector<std::string>& words) {
  const auto tokenizer = text::load_tokenizer(model);
  const auto print = [&](const std::vector<int32_t>& ids) {
    const auto text = tokenizer->decode(ids);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::putchar('\n');
  };
  std::vector<int32_t> ids;
  for (const auto& word : words)
    for (const int32_t id : parse_ids(word, "")) ids.push_back(id);
  if (!words.empty()) return print(ids);
  int64_t number = 0;
  for (std::string line; std::getline(std::cin, line);) print(parse_ids(line, "line " + std::to_string(++number) + ": "));
}

constexpr const char* kModelHelp =
    "a SentencePiece model, a tokenizer.json, GPT-2's vocab.json, or a folder (also of a checkpoint)";

void add_train_tokenizer(CLI::App& app) {
  auto* command = app.add_subcommand("train", "Train a SentencePiece model on the text fields of a configuration's data");
  auto arguments = std::make_shared<TrainArguments>();
  auto& options = arguments->options;
  command->add_option("CONFIG", arguments->config, "TOML file, as for mugato train; its tokens.text is not read")->required();
  command->add_option("--out", arguments->out, "file to write, for tokens.text")->required();
  command->add_option("--vocab-size", options.vocab_size, "pieces, bytes and <unk> among them")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--at-most", options.at_most, "take fewer pieces when the text does not give that many");
  command->add_option("--type", options.model_type, "unigram or bpe")->capture_default_str();
  command
      ->add_option("--coverage", options.character_coverage,
                   "share of the characters with pieces of their own; the rest are bytes")
      ->capture_default_str();
  command->add_option("--documents", arguments->documents, "episodes read at most, drawn by the weights of their entries")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--sentences", options.input_sentence_size, "sentences kept of them to train on, drawn at random")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--set", arguments->assignments, "change a key of the configuration")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->callback([arguments] { train(*arguments); });
}

void add_encode(CLI::App& app) {
  auto* command = app.add_subcommand("encode", "Print the ids of a text, or of every line of the standard input");
  auto arguments = std::make_shared<EncodeArguments>();
  command->add_option("MODEL", arguments->model, kModelHelp)->required();
  auto* text = command->add_option("TEXT", arguments->text, "one text; without it, a text a line is read");
  command->add_flag("--pieces", arguments->pieces, "print id:piece");
  command->add_flag("--json", arguments->json, "print a JSON object a text: ids and pieces");
  command->callback([arguments, text] {
    arguments->has_text = text->count() > 0;
    encode(*arguments);
  });
}

void add_decode(CLI::App& app) {
  auto* command = app.add_subcommand("decode", "Print the text of ids, or of every line of ids of the standard input");
  auto model = std::make_shared<std::string>();
  auto ids = std::make_shared<std::vector<std::string>>();
  command->add_option("MODEL", *model, kModelHelp)->required();
  command->add_option("IDS", *ids, "ids of one text; without them, lines of ids are read");
  command->callback([model, ids] { decode(*model, *ids); });
}

}  // namespace

void add_tokenizer(CLI::App& app) {
  auto* tokenizer = app.add_subcommand("tokenizer", "Train a text tokenizer, and try one: SentencePiece or byte-level BPE");
  tokenizer->require_subcommand(1);
  add_train_tokenizer(*tokenizer);
  add_encode(*tokenizer);
  add_decode(*tokenizer);
}

}  // namespace mugato::program
