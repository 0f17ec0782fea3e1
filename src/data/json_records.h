// Large JSON documents that are lists of records: read one record at a time.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace mugato::data {

// One object of a list, and where it stands, for messages.
struct JsonRecord {
  const std::filesystem::path& file;
  std::string list;  // the key of its list in the document; empty where the document is the list
  int64_t number;    // in its list, from 0; of a line from 1
  nlohmann::json& fields;
  bool is_line = false;

  // "'questions.json', questions[3]".
  std::string name() const;
  // Throw Error when the record has no such field or of another kind. An id is a whole number or a text, as text.
  std::string text(const std::string& field) const;
  std::string id(const std::string& field) const;
  int64_t integer(const std::string& field) const;
  const nlohmann::json& list_of(const std::string& field) const;
  [[noreturn]] void refuse(const std::string& what) const;
};

// Reads {"name": [{...}, ...], ...} or [{...}, ...], calls `read` for every record in order, and returns the document without
// its records. Memory: one record. Throws Error for a file that is no JSON, with the byte.
nlohmann::json read_json_records(const std::filesystem::path& file, const std::function<void(JsonRecord)>& read);

// JSON lines: a record a line; empty lines are none.
void read_json_lines(const std::filesystem::path& file, const std::function<void(JsonRecord)>& read);

}  // namespace mugato::data
