#include "python_json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "../../core/json_depth.h"
#include "mugato/core/error.h"

namespace mugato::data {
namespace {

constexpr std::string_view kNotFinite[] = {"NaN", "Infinity", "-Infinity"};

// The end of the string literal that begins at `begin`.
size_t end_of_string(std::string_view text, size_t begin) {
  for (size_t i = begin + 1; i < text.size(); ++i) {
    if (text[i] == '\\') ++i;
    else if (text[i] == '"') return i + 1;
  }
  return text.size();
}

std::string with_words_quoted(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    if (text[i] == '"') {
      const size_t end = end_of_string(text, i);
      out += text.substr(i, end - i);
      i = end;
      continue;
    }
    size_t length = 0;
    for (const auto word : kNotFinite)
      if (text.substr(i, word.size()) == word) length = word.size();
    if (length > 0) {
      (out += '"').append(text.substr(i, length)) += '"';
      i += length;
    } else {
      out += text[i++];
    }
  }
  return out;
}

}  // namespace

nlohmann::json parse_python_json(const std::string& text, const std::string& where) {
  if (is_nested_too_deeply(text)) throw Error(where + " is JSON that is nested too deeply", "was the file written by Minari?");
  try {
    return nlohmann::json::parse(text.find("NaN") == text.npos && text.find("Infinity") == text.npos ? text
                                                                                                     : with_words_quoted(text));
  } catch (const nlohmann::json::parse_error& error) {
    throw Error(where + " is no JSON: it breaks off or goes wrong at byte " + std::to_string(error.byte),
                "was the file copied whole?");
  } catch (const nlohmann::json::out_of_range&) {
    throw Error(where + " has a number that is too large for a double", "numbers are below 1.8e308");
  }
}

std::string python_json_text(const nlohmann::json& value) {
  std::string text;
  if (value.is_object()) {
    for (const auto& [key, item] : value.items())
      text += (text.empty() ? "" : ", ") + nlohmann::json(key).dump() + ": " + python_json_text(item);
    return "{" + text + "}";
  }
  if (value.is_array()) {
    for (const auto& item : value) text += (text.empty() ? "" : ", ") + python_json_text(item);
    return "[" + text + "]";
  }
  const bool is_word = std::any_of(std::begin(kNotFinite), std::end(kNotFinite), [&](auto word) { return value == word; });
  return is_word ? value.get<std::string>() : value.dump();
}

double number_of(const nlohmann::json& value, const std::string& where) {
  if (value.is_number()) return value.get<double>();
  if (value == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (value == "Infinity") return std::numeric_limits<double>::infinity();
  if (value == "-Infinity") return -std::numeric_limits<double>::infinity();
  throw Error(where + " is no number", "was the file written by the format's own package?");
}

nlohmann::json json_of(double number) {
  if (std::isfinite(number)) return number;
  return std::isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
}

}  // namespace mugato::data
