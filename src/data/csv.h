// Tables as text.
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace mugato::data {

// Rows of a table, the first of which are the names of the columns. Where these contain a tab, columns are separated by tabs
// and quotes mean nothing; else by commas, and "quoted, ""text""" may hold commas and lines. Throws Error with file and line
// for a row of another number of columns than the first, and a quote that is not closed.
class CsvReader {
 public:
  explicit CsvReader(std::filesystem::path file);

  const std::vector<std::string>& columns() const { return columns_; }
  std::optional<std::vector<std::string>> next();  // nothing after the last row
  int64_t line() const { return line_; }           // where the last row began, from 1

 private:
  std::optional<std::vector<std::string>> row();
  std::string quoted_value();

  std::filesystem::path file_;
  std::ifstream stream_;
  char separator_ = ',';
  std::vector<std::string> columns_;
  int64_t line_ = 0, num_lines_ = 0;
};

}  // namespace mugato::data
