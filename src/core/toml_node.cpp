#include "toml_node.h"

// Exact conversion of every double, subnormals too; the library's default goes through a string stream.
#define TOML_FLOAT_CHARCONV 1
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "mugato/core/error.h"

namespace mugato {
namespace {

TomlNode convert(const toml::node& node);

TomlNode::Table convert_table(const toml::table& table) {
  TomlNode::Table entries;
  for (const auto& [key, child] : table) {
    TomlNode entry = convert(child);
    entry.line = static_cast<int64_t>(key.source().begin.line);
    entries.push_back({std::string(key.str()), std::move(entry)});
  }
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.node.line < b.node.line; });
  return entries;
}

TomlNode convert(const toml::node& node) {
  TomlNode out;
  out.line = static_cast<int64_t>(node.source().begin.line);
  if (const auto* table = node.as_table()) {
    out.value = convert_table(*table);
  } else if (const auto* array = node.as_array()) {
    TomlNode::Array items;
    for (const auto& item : *array) items.push_back(convert(item));
    out.value = std::move(items);
  } else if (const auto* boolean = node.as_boolean()) {
    out.value = boolean->get();
  } else if (const auto* integer = node.as_integer()) {
    out.value = integer->get();
  } else if (const auto* floating = node.as_floating_point()) {
    out.value = floating->get();
  } else if (const auto* text = node.as_string()) {
    out.value = text->get();
  }
  return out;
}

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// Behind the string that begins at `start`, one of several lines or not; where it does not end, behind its line or the text.
size_t end_of_string(std::string_view text, size_t start) {
  const char quote = text[start];
  const std::string one(1, quote), three(3, quote);
  const bool is_long = text.substr(start).starts_with(three);
  const std::string& delimiter = is_long ? three : one;
  for (size_t i = start + delimiter.size(); i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') ++i;
    else if (!is_long && text[i] == '\n') return i;
    else if (text.substr(i).starts_with(delimiter)) {
      i += delimiter.size();
      for (int extra = 0; is_long && extra < 2 && i < text.size() && text[i] == quote; ++extra) ++i;  // quotes before the end
      return i;
    }
  }
  return text.size();
}

// toml++ has undefined behaviour where a letter beyond ASCII stands outside of strings and comments. TOML allows none there.
void refuse_bare_letters(std::string_view text, const std::string& file) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  for (size_t i = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0; i < text.size();) {
    if (text[i] == '"' || text[i] == '\'') {
      i = end_of_string(text, i);
    } else if (text[i] == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (static_cast<unsigned char>(text[i]) >= 0x80) {
      throw Error(file + ":" + std::to_string(1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(i), '\n')) +
                      ": a letter beyond ASCII stands outside of quotes",
                  "put the name or text that it is of in quotes");
    } else {
      ++i;
    }
  }
}

}  // namespace

TomlNode parse_toml(std::string_view text, const std::string& file) {
  refuse_bare_letters(text, file);
  try {
    const toml::table table = toml::parse(text, std::string_view(file));
    TomlNode root;
    root.value = convert_table(table);
    return root;
  } catch (const toml::parse_error& failure) {
    const auto at = failure.source().begin;
    throw Error(file + ":" + std::to_string(at.line) + ": column " + std::to_string(at.column) + ": " +
                    std::string(failure.description()),
                "the configuration is written in TOML: strings in quotes, one key a line, each key once");
  }
}

std::string toml_string(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string toml_key(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), is_bare) ? std::string(key) : toml_string(key);
}

std::string toml_double(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

}  // namespace mugato
