#include <algorithm>

#include "keys_internal.h"
#include "mugato/core/keys.h"
#include "toml_node.h"

namespace mugato {
namespace {

// "model." of "model.width", "" of "seed".
std::string section_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot + 1);
}

void add_once(std::vector<std::string>& list, const std::string& item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

// The declared name "model.block.width" as TOML; each part bare if it can be.
std::string toml_path(const std::string& name) {
  std::string out;
  for (size_t start = 0; start < name.size();) {
    const size_t dot = std::min(name.find('.', start), name.size());
    if (!out.empty()) out += '.';
    out += toml_key(name.substr(start, dot - start));
    start = dot + 1;
  }
  return out;
}

}  // namespace

std::string KeyTable::to_toml() const {
  std::string out;
  write_toml("", out);
  return out;
}

// `prefix` is this table's own path with a dot, "" for the document: its header is written already.
void KeyTable::write_toml(const std::string& prefix, std::string& out) const {
  // Keys without a section first: after a header they would belong to that. An empty group is a key too, so that reading
  // clears the default entries.
  std::vector<std::string> sections = {""};
  for (const auto& key : keys_) add_once(sections, section_of(key.name));
  for (const auto& group : groups_)
    if (group.entries().empty()) add_once(sections, section_of(group.name));
  for (const auto& section : sections) {
    if (!section.empty()) out.append(out.empty() ? "[" : "\n[").append(prefix).append(toml_path(section)).append("]\n");
    for (const auto& key : keys_)
      if (section_of(key.name) == section)
        out += toml_key(key.name.substr(section.size())) + " = " + value_text(key.target) + "\n";
    for (const auto& group : groups_)
      if (section_of(group.name) == section && group.entries().empty())
        out += toml_key(group.name.substr(section.size())) + (group.named ? " = {}\n" : " = []\n");
  }
  for (const auto& group : groups_) {
    for (const auto& entry : group.entries()) {
      std::string path = prefix + toml_path(group.name);
      if (group.named) path.append(".").append(toml_key(entry));
      if (!out.empty()) out += '\n';
      out.append(group.named ? "[" : "[[").append(path).append(group.named ? "]\n" : "]]\n");
      group.open(entry).write_toml(path + ".", out);
    }
  }
}

}  // namespace mugato
