#include "bpe_file.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <unordered_map>

#include "../core/json_depth.h"
#include "byte_tokens.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "unicode.h"

namespace mugato::text {
namespace {

using nlohmann::json;

constexpr const char* kWhatIsRead =
    "byte-level BPE as GPT-2, Llama 3 or Qwen 2 have it is read; of other kinds, SentencePiece's .model files";

// A value and the way to it, for messages: model.merges[3].
class Node {
 public:
  Node(const json& value, std::string path, const std::string& origin)
      : value_(value), path_(std::move(path)), origin_(origin) {}

  const json& value() const { return value_; }
  bool is_null() const { return value_.is_null(); }

  [[noreturn]] void fail(const std::string& what, const std::string& hint = "take the file as its writer left it") const {
    throw Error("'" + origin_ + "': " + path_ + " " + what, hint);
  }

  // The member of an object; null where there is none.
  Node at(const std::string& key) const {
    static const json kNull;
    const auto found = object().find(key);
    return {found == value_.end() ? kNull : *found, path_.empty() ? key : path_ + "." + key, origin_};
  }
  Node at(size_t index) const { return {value_[index], path_ + "[" + std::to_string(index) + "]", origin_}; }

  const json& object() const { return is(value_.is_object(), "an object"); }
  const json& array() const { return is(value_.is_array(), "an array"); }
  const std::string& string() const { return is(value_.is_string(), "a string").get_ref<const std::string&>(); }
  bool boolean(bool missing) const { return is_null() ? missing : is(value_.is_boolean(), "true or false").get<bool>(); }
  std::string type() const { return is_null() ? "null" : at("type").is_null() ? "" : at("type").string(); }

  // An id below `end`.
  int32_t id(size_t end) const {
    is(value_.is_number_integer(), "an integer");
    if (!value_.is_number_unsigned() || value_.get<uint64_t>() >= end)
      fail("is the id " + value_.dump() + ", there are " + std::to_string(end) + " tokens",
           "ids count from 0 on, without a gap and none twice");
    return value_.get<int32_t>();
  }

 private:
  const json& is(bool holds, const char* what) const {
    if (!holds) fail(is_null() ? "is missing" : std::string("is not ") + what);
    return value_;
  }

  const json& value_;
  std::string path_;
  const std::string& origin_;
};

json parse(const std::string& bytes, const std::string& origin) {
  if (is_nested_too_deeply(bytes)) throw Error("'" + origin + "' is JSON that is nested too deeply", "is it a tokenizer.json?");
  try {
    return json::parse(bytes);
  } catch (const json::exception& failure) {
    const std::string reason = failure.what();
    throw Error("'" + origin + "' is not JSON: " + reason.substr(reason.find("] ") + 1),
                "is the file whole? tokenizer.json is one JSON object");
  }
}

constexpr size_t kMostTokens = size_t{1} << 24;

using Ids = std::unordered_map<std::string, int32_t>;

std::vector<std::string> read_vocabulary(const Node& vocab) {
  const size_t size = vocab.object().size();
  if (size > kMostTokens) vocab.fail("has " + std::to_string(size) + " tokens", "at most 2^24 are read");
  std::vector<std::string> tokens(size);
  std::vector<bool> seen(size, false);
  for (const auto& [token, value] : vocab.value().items()) {
    const auto node = vocab.at(token);
    const auto id = static_cast<size_t>(node.id(size));
    if (seen[id]) node.fail("is the id " + std::to_string(id) + ", and so is that of '" + tokens[id] + "'");
    seen[id] = true;
    tokens[id] = token;
  }
  return tokens;
}

// "a b" or ["a", "b"].
std::pair<std::string, std::string> read_pair(const Node& node) {
  if (node.value().is_array()) {
    if (node.value().size() != 2) node.fail("is not a pair of tokens");
    return {node.at(size_t{0}).string(), node.at(1).string()};
  }
  const auto& text = node.string();
  const size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
    node.fail("is '" + text + "', not two tokens with a space between them");
  return {text.substr(0, space), text.substr(space + 1)};
}

std::vector<Merge> read_merges(const Node& list, const Ids& ids) {
  std::vector<Merge> merges;
  list.array();
  for (size_t rank = 0; rank < list.value().size(); ++rank) {
    const auto node = list.at(rank);
    const auto [left, right] = read_pair(node);
    const auto id = [&](const std::string& token) {
      const auto found = ids.find(token);
      if (found == ids.end()) node.fail("names '" + token + "', which is not in the vocabulary");
      return found->second;
    };
    merges.push_back({id(left), id(right), id(left + right)});
  }
  return merges;
}

void check_model(const Node& model) {
  const auto type = model.type();
  if (!type.empty() && type != "BPE") model.fail("is of type " + type, kWhatIsRead);
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const auto node = model.at(key); !node.is_null() && !node.string().empty())
      node.fail("is '" + node.string() + "': this is not byte-level BPE", kWhatIsRead);
  if (const auto dropout = model.at("dropout"); !dropout.is_null() && dropout.value() != 0)
    dropout.fail("is " + dropout.value().dump() + ": the same text would not give the same ids", "set it to null");
}

void read_byte_level(const Node& node, std::vector<PreTokenizerStep>& steps) {
  if (node.at("add_prefix_space").boolean(true)) steps.push_back({.kind = PreTokenizerStep::Kind::kPrefixSpace});
  if (node.at("use_regex").boolean(true)) steps.push_back({.words = WordKind::kGpt2});
}

void read_split(const Node& node, std::vector<PreTokenizerStep>& steps) {
  const auto regex = node.at("pattern").at("Regex");
  if (regex.is_null()) node.at("pattern").fail("is not a regular expression", kWhatIsRead);
  const auto words = word_kind_of(regex.string());
  if (!words) regex.fail("is unknown: " + regex.string(), kWhatIsRead);
  if (node.at("behavior").string() != "Isolated" || node.at("invert").boolean(false))
    node.fail("does not keep what it finds apart, behavior Isolated without invert", kWhatIsRead);
  steps.push_back({.words = *words});
}

// A ByteLevel, or a Sequence of Splits and one at its end.
std::vector<PreTokenizerStep> read_pre_tokenizer(const Node& node) {
  std::vector<PreTokenizerStep> steps;
  std::vector<Node> parts{node};
  if (node.type() == "Sequence") {
    parts.clear();
    const auto list = node.at("pretokenizers");
    for (size_t i = 0; i < list.array().size(); ++i) parts.push_back(list.at(i));
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto type = parts[i].type();
    if (type == "ByteLevel" && i + 1 == parts.size()) {
      read_byte_level(parts[i], steps);
      return steps;
    }
    if (type != "Split") parts[i].fail("is of type " + type + ": this is not byte-level BPE as it is read here", kWhatIsRead);
    read_split(parts[i], steps);
  }
  node.fail("has no ByteLevel at its end: this is not byte-level BPE", kWhatIsRead);
}

// Added tokens are in the vocabulary already, or go on behind it in the order of the list.
std::vector<AddedToken> read_added(const Node& list, bool normalizes, const Ids& ids, std::vector<std::string>& tokens) {
  std::vector<AddedToken> added;
  std::set<std::string> seen;
  if (list.is_null()) return added;
  list.array();
  for (size_t i = 0; i < list.value().size(); ++i) {
    const auto node = list.at(i);
    AddedToken token{.content = node.at("content").string(),
                     .takes_left = node.at("lstrip").boolean(false),
                     .takes_right = node.at("rstrip").boolean(false),
                     .normalized = node.at("normalized").boolean(false)};
    const auto known = ids.find(token.content);
    const size_t expected = known != ids.end() ? static_cast<size_t>(known->second) : tokens.size();
    if (token.content.empty()) node.fail("is empty");
    if (node.at("single_word").boolean(false)) node.at("single_word").fail("is not supported", "set it to false");
    token.id = node.at("id").id(kMostTokens);
    if (static_cast<size_t>(token.id) != expected)
      node.at("id").fail("of '" + token.content + "' is " + std::to_string(token.id) + ", by its place it has to be " +
                             std::to_string(expected),
                         "added tokens that are not in the vocabulary go on behind it, without a gap and in order");
    if (normalizes && token.normalized) token.content = nfc(token.content);
    if (!seen.insert(token.content).second) node.fail("is '" + token.content + "' once more");
    if (expected == tokens.size()) tokens.emplace_back();
    tokens[expected] = token.content;
    added.push_back(token);
  }
  return added;
}

bool read_normalizer(const Node& node) {
  if (node.is_null()) return false;
  if (node.type() != "NFC") node.fail("is of type " + node.type() + ": only NFC is read, or none", kWhatIsRead);
  return true;
}

std::vector<int32_t> find_bytes(const Node& vocab, const Ids& ids) {
  std::vector<int32_t> byte_ids;
  for (int byte = 0; byte < 256; ++byte) {
    const auto found = ids.find(visible_byte(static_cast<uint8_t>(byte)));
    if (found == ids.end())
      vocab.fail("has no token for the byte " + std::to_string(byte) + ", '" + visible_byte(static_cast<uint8_t>(byte)) + "'",
                 "byte-level BPE needs all 256; train with initial_alphabet=ByteLevel.alphabet()");
    byte_ids.push_back(found->second);
  }
  return byte_ids;
}

}  // namespace

BpeFile read_tokenizer_json(const std::string& bytes, const std::string& origin) {
  const json document = parse(bytes, origin);
  const Node root(document, "", origin);
  if (!document.is_object() || !document.contains("model"))
    throw Error("'" + origin + "' is JSON, but no tokenizer.json: it has no model", kWhatIsRead);
  const auto model = root.at("model");
  check_model(model);
  BpeFile file{.steps = read_pre_tokenizer(root.at("pre_tokenizer")),
               .nfc = read_normalizer(root.at("normalizer")),
               .whole_words = model.at("ignore_merges").boolean(false)};
  if (const auto decoder = root.at("decoder"); decoder.type() != "ByteLevel")
    decoder.fail("is of type " + decoder.type() + ": this is not byte-level BPE", kWhatIsRead);
  file.tokens = read_vocabulary(model.at("vocab"));
  file.vocabulary_size = file.tokens.size();
  Ids ids;
  for (size_t id = 0; id < file.tokens.size(); ++id) ids.emplace(file.tokens[id], static_cast<int32_t>(id));
  file.byte_ids = find_bytes(model.at("vocab"), ids);
  file.merges = read_merges(model.at("merges"), ids);
  file.added = read_added(root.at("added_tokens"), file.nfc, ids, file.tokens);
  return file;
}

std::string tokenizer_json_of(const std::string& vocab_path, const std::string& merges_path) {
  const json vocab = parse(read_file(vocab_path), vocab_path);
  const std::string text = read_file(merges_path);
  if (valid_utf8(text) != text) throw Error("'" + merges_path + "' is not UTF-8", "give the merges.txt of " + vocab_path);
  json merges = json::array();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (!line.starts_with("#version")) merges.push_back(std::move(line));
    begin = end + 1;
  }
  constexpr const char* kEnd = "<|endoftext|>";
  json added = json::array();
  if (vocab.is_object() && vocab.contains(kEnd))
    added.push_back({{"id", vocab[kEnd]},
                     {"content", kEnd},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  const json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const json file = {
      {"version", "1.0"},          {"truncation", nullptr}, {"padding", nullptr},
      {"added_tokens", added},     {"normalizer", nullptr}, {"pre_tokenizer", byte_level},
      {"post_processor", nullptr}, {"decoder", byte_level}, {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
  return file.dump();
}

}  // namespace mugato::text
