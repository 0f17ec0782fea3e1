// JSON as Python's json module writes it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace mugato::data {

// Python writes NaN, Infinity and -Infinity as bare words, which are no JSON: they come out as strings of the same letters.
// Throws Error that begins with `where` and names the byte.
nlohmann::json parse_python_json(const std::string& text, const std::string& where);

// A number, or one of the three words. Throws Error that begins with `where` for anything else.
double number_of(const nlohmann::json& value, const std::string& where);

// The way back: a text that Python's json module reads.
std::string python_json_text(const nlohmann::json& value);

// A number, or the string of what JSON has no number for.
nlohmann::json json_of(double number);

}  // namespace mugato::data
