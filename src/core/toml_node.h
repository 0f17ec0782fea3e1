// A TOML document as plain values with line numbers: what KeyTable reads, without toml++'s headers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace mugato {

struct TomlEntry;

struct TomlNode {
  struct Other {};  // dates and times, which no key takes
  using Array = std::vector<TomlNode>;
  using Table = std::vector<TomlEntry>;  // in the order of the file

  std::variant<Other, bool, int64_t, double, std::string, Array, Table> value;
  int64_t line = 0;  // of a table's entry: where its key stands
  std::string text;  // of an assignment's value: as the user wrote it

  const Table* table() const { return std::get_if<Table>(&value); }
  const Array* array() const { return std::get_if<Array>(&value); }
};

struct TomlEntry {
  std::string key;
  TomlNode node;
};

// Throws Error "file:line: ...".
TomlNode parse_toml(std::string_view text, const std::string& file);

// Quoted and escaped for TOML.
std::string toml_string(std::string_view text);

// A key as it stands in a dotted name: bare if it can be.
std::string toml_key(std::string_view key);

// The shortest text that reads back as the same double, never like an integer.
std::string toml_double(double value);

}  // namespace mugato
