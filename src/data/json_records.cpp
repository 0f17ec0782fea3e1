#include "json_records.h"

#include "../core/json_depth.h"
#include "mugato/core/error.h"
#include "stream.h"

namespace mugato::data {

using nlohmann::json;

std::string JsonRecord::name() const {
  return "'" + file.string() + "', " + (is_line ? "line " + std::to_string(number) : list + "[" + std::to_string(number) + "]");
}

void JsonRecord::refuse(const std::string& what) const { throw Error(name() + ": " + what, "the file is not of this format"); }

std::string JsonRecord::text(const std::string& field) const {
  const auto found = fields.find(field);
  if (found == fields.end() || !found->is_string()) refuse("there is no text '" + field + "'");
  return *found;
}

int64_t JsonRecord::integer(const std::string& field) const {
  const auto found = fields.find(field);
  if (found == fields.end() || !found->is_number_integer()) refuse("there is no whole number '" + field + "'");
  return *found;
}

std::string JsonRecord::id(const std::string& field) const {
  const auto found = fields.find(field);
  return found != fields.end() && found->is_string() ? found->get<std::string>() : std::to_string(integer(field));
}

const json& JsonRecord::list_of(const std::string& field) const {
  const auto found = fields.find(field);
  if (found == fields.end() || !found->is_array()) refuse("there is no list '" + field + "'");
  return *found;
}

json read_json_records(const std::filesystem::path& file, const std::function<void(JsonRecord)>& read) {
  auto stream = open_stream(file);
  std::string list;
  int list_depth = -1;  // of the list that is being read, -1 between lists
  int64_t number = 0;
  const auto keep = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kMaxJsonDepth) throw Error("'" + file.string() + "' is nested too deeply", "the file is not of this format");
    if (event == json::parse_event_t::key && depth == 1) list = parsed;
    if (event == json::parse_event_t::array_start && depth <= 1 && list_depth < 0) list_depth = depth, number = 0;
    if (event == json::parse_event_t::array_end && depth == list_depth) list_depth = -1;
    if (event != json::parse_event_t::object_end || list_depth < 0 || depth != list_depth + 1) return true;
    read({file, list, number++, parsed});
    return false;
  };
  try {
    return json::parse(stream, keep);
  } catch (const json::exception& failure) {
    throw Error("'" + file.string() + "' is no JSON: " + failure.what(), "it may be cut: download it again");
  }
}

void read_json_lines(const std::filesystem::path& file, const std::function<void(JsonRecord)>& read) {
  auto stream = open_stream(file);
  std::string line;
  for (int64_t number = 0; std::getline(stream, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (is_nested_too_deeply(line))
      throw Error("'" + file.string() + "', line " + std::to_string(number + 1) + ": it is nested too deeply",
                  "the file is not of this format");
    auto fields = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!fields.is_object())
      throw Error("'" + file.string() + "', line " + std::to_string(number + 1) + ": it is no JSON object",
                  "JSON lines have one object a line");
    read({file, "", number + 1, fields, /*is_line=*/true});
  }
  check_stream(stream, file);
}

}  // namespace mugato::data
