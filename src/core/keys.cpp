#include "mugato/core/keys.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "keys_internal.h"
#include "mugato/core/error.h"
#include "mugato/core/text.h"
#include "toml_node.h"

namespace mugato {
namespace {

template <class T>
constexpr bool kIsList = false;
template <class T>
constexpr bool kIsList<std::vector<T>> = true;

// Applies a test on numbers to a number or to each of a list; other types fail.
template <class Test>
bool all_numbers(const KeyValue& value, Test test) {
  return std::visit(
      [&](const auto& typed) {
        using T = std::decay_t<decltype(typed)>;
        if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, double>) {
          return test(static_cast<double>(typed));
        } else if constexpr (std::is_same_v<T, std::vector<int64_t>> || std::is_same_v<T, std::vector<double>>) {
          return std::all_of(typed.begin(), typed.end(), [&](auto number) { return test(static_cast<double>(number)); });
        } else {
          return false;
        }
      },
      value);
}

// 65536 rather than 65536.0.
std::string number_text(double number) {
  std::string text = toml_double(number);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

std::string element_text(bool value) { return value ? "true" : "false"; }
std::string element_text(int64_t value) { return std::to_string(value); }
std::string element_text(double value) { return toml_double(value); }
std::string element_text(const std::string& value) { return toml_string(value); }

}  // namespace

std::string value_text(const KeyTarget& target) {
  return std::visit(
      [](const auto* value) -> std::string {
        using T = std::decay_t<decltype(*value)>;
        if constexpr (kIsList<T>) {
          return "[" + comma_separated(*value, [](const auto& element) { return element_text(element); }) + "]";
        } else {
          return element_text(*value);
        }
      },
      target);
}

KeyValue value_of(const KeyTarget& target) {
  return std::visit([](const auto* value) -> KeyValue { return *value; }, target);
}

KeyCheck range(double low, double high) {
  return {number_text(low) + " to " + number_text(high),
          [=](const KeyValue& value) { return all_numbers(value, [=](double x) { return low <= x && x <= high; }); }};
}

KeyCheck at_least(double low) {
  return {"at least " + number_text(low),
          [=](const KeyValue& value) { return all_numbers(value, [=](double x) { return x >= low; }); }};
}

KeyCheck positive() {
  return {"above 0", [](const KeyValue& value) { return all_numbers(value, [](double x) { return x > 0.0; }); }};
}

KeyCheck not_empty() {
  return {"not empty", [](const KeyValue& value) {
            return std::visit(
                [](const auto& typed) {
                  if constexpr (requires { typed.empty(); }) {
                    return !typed.empty();
                  } else {
                    return true;
                  }
                },
                value);
          }};
}

KeyCheck one_of(std::vector<std::string> names) {
  std::string allowed;
  for (const auto& name : names) allowed += (allowed.empty() ? "" : " | ") + (name.empty() ? "\"\"" : name);
  return {allowed, [names = std::move(names)](const KeyValue& value) {
            const auto known = [&](const std::string& name) {
              return std::find(names.begin(), names.end(), name) != names.end();
            };
            if (const auto* one = std::get_if<std::string>(&value)) return known(*one);
            const auto* list = std::get_if<std::vector<std::string>>(&value);
            return list && std::all_of(list->begin(), list->end(), known);
          }};
}

void KeyTable::check_name(const std::string& name) const {
  TORCH_CHECK(!name.empty() && name.front() != '.' && name.back() != '.' && name.find("..") == std::string::npos, "key name '",
              name, "' has an empty part");
  const auto check_against = [&](const std::string& other) {
    TORCH_CHECK(name != other && !name.starts_with(other + ".") && !other.starts_with(name + "."), "keys '", name, "' and '",
                other, "' cannot both be declared");
  };
  for (const auto& key : keys_) check_against(key.name);
  for (const auto& group : groups_) check_against(group.name);
}

void KeyTable::add(const std::string& name, KeyTarget target, std::string help, KeyCheck check) {
  check_name(name);
  keys_.push_back({name, target, std::move(help), std::move(check), value_text(target)});
}

void KeyTable::add_group(Group group) {
  check_name(group.name);
  groups_.push_back(std::move(group));
}

bool KeyTable::is_section(const std::string& name) const {
  const auto below = [&](const auto& item) { return item.name.starts_with(name + "."); };
  return std::any_of(keys_.begin(), keys_.end(), below) || std::any_of(groups_.begin(), groups_.end(), below);
}

std::vector<std::string> KeyTable::names() const {
  std::vector<std::string> all;
  for (const auto& key : keys_) all.push_back(key.name);
  return all;
}

std::vector<KeyTable::Description> KeyTable::descriptions() const {
  std::vector<Description> all;
  for (const auto& key : keys_) all.push_back({key.name, value_text(key.target), key.default_text, key.help});
  return all;
}

void KeyTable::validate() const { validate(""); }

void KeyTable::validate(const std::string& prefix) const {
  for (const auto& key : keys_)
    if (key.check.accepts && !key.check.accepts(value_of(key.target)))
      throw Error(prefix + key.name + " = " + value_text(key.target) + " is not allowed: " + key.check.allowed, key.help);
  for (const auto& group : groups_)
    for (const auto& entry : group.entries()) group.open(entry).validate(prefix + group.name + "." + toml_key(entry) + ".");
}

void KeyTable::collect_help(const std::string& prefix, std::vector<std::vector<std::string>>& rows) const {
  for (const auto& key : keys_) rows.push_back({prefix + key.name, key.default_text, key.check.allowed, key.help});
  for (const auto& group : groups_) {
    rows.push_back({prefix + (group.named ? "[" + group.name + ".NAME]" : "[[" + group.name + "]]"), "", "", group.help});
    group.blank().collect_help(prefix + group.name + (group.named ? ".NAME." : ".N."), rows);
  }
}

std::string KeyTable::help() const {
  std::vector<std::vector<std::string>> rows = {{"key", "default", "allowed", "meaning"}};
  collect_help("", rows);
  constexpr size_t kWidest = 40;  // a cell wider than this pushes its own line only
  std::vector<size_t> widths(3, 0);
  for (const auto& row : rows)
    for (size_t column = 0; column < widths.size(); ++column)
      if (row[column].size() <= kWidest) widths[column] = std::max(widths[column], row[column].size());
  std::string out;
  for (const auto& row : rows) {
    for (size_t column = 0; column < widths.size(); ++column) {
      out += row[column] + "  ";
      out.append(widths[column] - std::min(widths[column], row[column].size()), ' ');
    }
    out += row.back() + "\n";
  }
  return out;
}

}  // namespace mugato
