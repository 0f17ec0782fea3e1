#include "file_list.h"

#include <glob.h>

#include <charconv>
#include <set>

#include "mugato/core/error.h"

namespace mugato::data {
namespace {

constexpr size_t kMaxFiles = 1'000'000;

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0;;) {
    const size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + separator.size();
  }
}

bool read_number(const std::string& text, int64_t* number) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *number);
  return !text.empty() && result.ec == std::errc() && result.ptr == text.data() + text.size() && *number >= 0;
}

// "7" in a range of width 5 is "00007".
std::string padded(int64_t number, size_t width) {
  const auto digits = std::to_string(number);
  return std::string(width > digits.size() ? width - digits.size() : 0, '0') + digits;
}

// What stands between two braces; nothing when it is neither a range nor a list.
std::vector<std::string> alternatives(const std::string& inside, const std::string& path) {
  if (inside.find(',') != std::string::npos) return split(inside, ",");
  const auto ends = split(inside, "..");
  int64_t first = 0, last = 0;
  if (ends.size() != 2 || !read_number(ends[0], &first) || !read_number(ends[1], &last)) return {};
  if (last < first || last - first >= static_cast<int64_t>(kMaxFiles))
    throw Error("'" + path + "': the range {" + inside + "} is empty or too long",
                "the lower number comes first; a million files at most");
  const size_t width = ends[0].starts_with('0') || ends[1].starts_with('0') ? std::max(ends[0].size(), ends[1].size()) : 1;
  std::vector<std::string> all;
  for (int64_t number = first; number <= last; ++number) all.push_back(padded(number, width));
  return all;
}

std::vector<std::string> expand_braces(const std::string& path, size_t from = 0) {
  const size_t open = path.find('{', from), close = path.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return {path};
  const auto choices = alternatives(path.substr(open + 1, close - open - 1), path);
  if (choices.empty()) return expand_braces(path, close);
  std::vector<std::string> all;
  for (const auto& choice : choices)
    for (auto& expanded : expand_braces(path.substr(0, open) + choice + path.substr(close + 1), open + choice.size())) {
      all.push_back(std::move(expanded));
      if (all.size() > kMaxFiles) throw Error("'" + path + "' names more than a million files", "check its braces");
    }
  return all;
}

std::vector<std::string> matches(const std::string& pattern) {
  ::glob_t found{};
  const int result = ::glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<std::string> all(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  if (result != 0) throw Error("no file matches '" + pattern + "'", "check the folder and the pattern");
  return all;
}

}  // namespace

std::vector<std::filesystem::path> list_files(const std::string& path) {
  std::vector<std::filesystem::path> files;
  std::set<std::string> seen;
  const auto take = [&](const std::string& name) {
    if (!std::filesystem::is_regular_file(name))
      throw Error("there is no file '" + name + "'" + (name == path ? "" : ", which '" + path + "' names"),
                  "a file, data/{00000..00099}.tar, data/*.tar, or several of these separated by ::");
    if (!seen.insert(name).second) throw Error("'" + path + "' names '" + name + "' twice", "its episodes would count twice");
    files.emplace_back(name);
  };
  for (const auto& part : split(path, "::"))
    for (const auto& name : expand_braces(part)) {
      if (name.find_first_of("*?[") == std::string::npos || std::filesystem::exists(name)) take(name);
      else
        for (const auto& match : matches(name)) take(match);
    }
  return files;
}

}  // namespace mugato::data
