#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <set>

#include "keys_internal.h"
#include "mugato/core/error.h"
#include "mugato/core/keys.h"
#include "mugato/core/registry.h"
#include "toml_node.h"

namespace mugato {

struct KeyTable::Reading {
  Mode mode;
  std::string source;  // the file's name, or the assignment

  std::string where(const TomlNode& node) const {
    return mode == Mode::kFile ? source + ":" + std::to_string(node.line) + ": " : "--set " + source + ": ";
  }
};

namespace {

std::string type_name(const bool*) { return "true or false"; }
std::string type_name(const int64_t*) { return "an integer"; }
std::string type_name(const double*) { return "a number"; }
std::string type_name(const std::string*) { return "a string"; }
std::string type_name(const std::vector<int64_t>*) { return "a list of integers"; }
std::string type_name(const std::vector<double>*) { return "a list of numbers"; }
std::string type_name(const std::vector<std::string>*) { return "a list of strings"; }

// What stands in the file, for "found ...".
std::string describe(const TomlNode& node) {
  if (const auto* flag = std::get_if<bool>(&node.value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<int64_t>(&node.value)) return "the integer " + std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&node.value)) return "the number " + toml_double(*number);
  if (const auto* text = std::get_if<std::string>(&node.value)) return "the string " + toml_string(*text);
  if (node.table()) return "a table";
  if (const auto* array = node.array()) {
    if (array->empty()) return "an empty list";
    return "a list with " + describe(array->front());
  }
  return "a date or time";
}

template <class T>
std::optional<T> convert(const TomlNode& node, const T* /*type*/) {
  if (const auto* value = std::get_if<T>(&node.value)) return *value;
  if constexpr (std::is_same_v<T, double>)
    if (const auto* integer = std::get_if<int64_t>(&node.value)) return static_cast<double>(*integer);
  return std::nullopt;
}

template <class T>
std::optional<std::vector<T>> convert(const TomlNode& node, const std::vector<T>* /*type*/) {
  if (!node.array()) return std::nullopt;
  std::vector<T> list;
  for (const auto& item : *node.array()) {
    const auto element = convert(item, static_cast<const T*>(nullptr));
    if (!element) return std::nullopt;
    list.push_back(*element);
  }
  return list;
}

// The number of an entry, if `text` is one.
std::optional<size_t> entry_index(const std::string& text) {
  size_t index = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return index;
}

std::string last_part(const std::string& name) { return name.substr(name.rfind('.') + 1); }

std::string trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

// `node` becomes the value at the end of the path of single-entry tables that the key `path` parsed to.
void replace_leaf(TomlNode& path, TomlNode node) {
  if (auto* table = std::get_if<TomlNode::Table>(&path.value)) {
    replace_leaf(table->front().node, std::move(node));
  } else {
    path = std::move(node);
  }
}

}  // namespace

void KeyTable::read_toml(std::string_view text, const std::string& file) {
  read_section(parse_toml(text, file), "", "", {Mode::kFile, file});
}

void KeyTable::set(const std::string& assignment) {
  const size_t equals = assignment.find('=');
  const std::string key = trim(std::string_view(assignment).substr(0, equals));
  const auto parse = [&](const std::string& name, const std::string& value) {
    return std::get<TomlNode::Table>(parse_toml(name + " = " + value + "\n", "--set " + assignment).value);
  };
  const bool is_pair = equals != std::string::npos && !key.empty() && key.find_first_of("#[\r\n") == std::string::npos;
  if (!is_pair)
    throw Error("--set " + assignment + ": this is not an assignment", "write --set key=value, such as --set train.steps=500");
  const std::string text = trim(std::string_view(assignment).substr(equals + 1));
  TomlNode value = parse("v", toml_string(text)).front().node;  // a bare word; refuses what is not UTF-8
  try {
    const TomlNode::Table parsed = parse("v", text);
    // More than one entry: a line break in a bare word.
    if (parsed.size() == 1) value = parsed.front().node;
  } catch (const Error&) {
    // Not a value of TOML: the bare word stands.
  }
  value.text = text;
  TomlNode path;
  path.value = parse(key, "0");
  replace_leaf(path, std::move(value));
  read_section(path, "", "", {Mode::kAssignment, assignment});
}

void KeyTable::read_section(const TomlNode& table, const std::string& section, const std::string& prefix, const Reading& from) {
  for (const auto& [part, node] : *table.table()) {
    const std::string name = section + part;
    const auto named = [&](const auto& item) { return item.name == name; };
    const bool dotted = part.find('.') != std::string::npos;  // "model.width" in quotes is not the key model.width
    const auto key = dotted ? keys_.end() : std::find_if(keys_.begin(), keys_.end(), named);
    const auto group = dotted ? groups_.end() : std::find_if(groups_.begin(), groups_.end(), named);
    if (key != keys_.end()) {
      read_key(*key, node, prefix, from);
    } else if (group != groups_.end()) {
      read_group(*group, node, prefix, from);
    } else if (!dotted && is_section(name)) {
      if (!node.table())
        throw Error(from.where(node) + prefix + name + " is a table of keys, found " + describe(node),
                    "give its keys under [" + prefix + name + "]");
      read_section(node, name + ".", prefix, from);
    } else {
      refuse_unknown(section + toml_key(part), node, prefix, from);
    }
  }
}

void KeyTable::read_key(const Key& key, const TomlNode& node, const std::string& prefix, const Reading& from) {
  const std::string where = from.where(node) + prefix + key.name;
  std::visit(
      [&](auto* target) {
        using T = std::decay_t<decltype(*target)>;
        auto value = convert(node, static_cast<const T*>(nullptr));
        if constexpr (std::is_same_v<T, std::string>)
          if (!value && !node.text.empty()) value = node.text;
        if (!value) throw Error(where + " must be " + type_name(target) + ", found " + describe(node), key.help);
        if (key.check.accepts && !key.check.accepts(*value))
          throw Error(where + " = " + value_text(&*value) + " is not allowed: " + key.check.allowed, key.help);
        *target = std::move(*value);
      },
      key.target);
}

void KeyTable::read_group(const Group& group, const TomlNode& node, const std::string& prefix, const Reading& from) {
  const std::string name = prefix + group.name;
  if (const auto* array = node.array(); array && !group.named) {
    group.clear();
    for (size_t i = 0; i < array->size(); ++i) read_entry(group, std::to_string(i), (*array)[i], prefix, from);
    return;
  }
  if (!node.table() || (!group.named && from.mode == Mode::kFile))
    throw Error(
        from.where(node) + name + " must be " + (group.named ? "a table of tables" : "an array of tables") + ", found " +
            describe(node),
        group.named ? "write [" + name + ".NAME] above the keys of each" : "write [[" + name + "]] above the keys of each");
  if (from.mode == Mode::kFile) group.clear();
  for (const auto& [entry, child] : *node.table()) {
    if (!group.named && entry_index(entry).value_or(SIZE_MAX) >= group.entries().size())
      throw Error(
          from.where(node) + name + " has " + std::to_string(group.entries().size()) + " entries, and none is '" + entry + "'",
          "entries count from 0; add one in the configuration under [[" + name + "]]");
    read_entry(group, entry, child, prefix, from);
  }
}

void KeyTable::read_entry(const Group& group, const std::string& entry, const TomlNode& node, const std::string& prefix,
                          const Reading& from) {
  const std::string name = prefix + group.name + "." + toml_key(entry);
  if (!node.table()) throw Error(from.where(node) + name + " must be a table, found " + describe(node), group.help);
  group.open(entry).read_section(node, "", name + ".", from);
}

void KeyTable::refuse_unknown(const std::string& name, const TomlNode& node, const std::string& prefix,
                              const Reading& from) const {
  std::set<std::string> known;  // keys, groups and the sections above them
  const auto add = [&](std::string item) {
    for (known.insert(item); item.find('.') != std::string::npos; known.insert(item)) item.resize(item.rfind('.'));
  };
  for (const auto& key : keys_) add(key.name);
  for (const auto& group : groups_) add(group.name);
  std::vector<std::string> candidates;
  // The right key in the wrong section is likelier than a name that merely looks alike.
  std::copy_if(known.begin(), known.end(), std::back_inserter(candidates),
               [&](const std::string& item) { return last_part(item) == last_part(name); });
  if (candidates.empty()) candidates.assign(known.begin(), known.end());
  throw Error(
      from.where(node) + "unknown key '" + prefix + name + "'",
      candidates.empty() ? "no keys are known here" : "did you mean '" + prefix + nearest_name(name, candidates) + "'?");
}

}  // namespace mugato
