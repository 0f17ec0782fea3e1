#include "csv.h"

#include "mugato/core/error.h"
#include "stream.h"

namespace mugato::data {
namespace {

constexpr int kEnd = std::char_traits<char>::eof();

}  // namespace

CsvReader::CsvReader(std::filesystem::path file) : file_(std::move(file)), stream_(open_stream(file_)) {
  std::string header;
  std::getline(stream_, header);
  const bool mark = header.starts_with("\xef\xbb\xbf");  // some programs put one before UTF-8
  separator_ = header.find('\t') == std::string::npos ? ',' : '\t';
  stream_.clear();
  stream_.seekg(mark ? 3 : 0);
  columns_ = row().value_or(std::vector<std::string>{});
}

std::optional<std::vector<std::string>> CsvReader::next() {
  auto values = row();
  while (values && columns_.size() > 1 && *values == std::vector<std::string>{""}) values = row();  // an empty line
  if (values && values->size() != columns_.size())
    throw Error(
        "'" + file_.string() + "', line " + std::to_string(line_) + ": it has " + std::to_string(values->size()) +
            " columns, the first line has " + std::to_string(columns_.size()),
        separator_ == ',' ? "a text with a comma in it is written in quotes: \"a, b\"" : "columns are separated by tabs");
  return values;
}

std::optional<std::vector<std::string>> CsvReader::row() {
  if (stream_.peek() == kEnd) {
    check_stream(stream_, file_);
    return std::nullopt;
  }
  line_ = ++num_lines_;
  std::vector<std::string> values(1);
  bool at_start = true;
  for (int c = stream_.get(); c != '\n' && c != kEnd; c = stream_.get()) {
    if (c == separator_) {
      values.emplace_back();
      at_start = true;
      continue;
    }
    if (c == '"' && separator_ == ',' && at_start) values.back() = quoted_value();
    else if (c != '\r' || (stream_.peek() != '\n' && stream_.peek() != kEnd)) values.back() += static_cast<char>(c);
    at_start = false;
  }
  return values;
}

std::string CsvReader::quoted_value() {
  std::string value;
  for (int c = stream_.get(); c != kEnd; c = stream_.get()) {
    if (c == '"') {
      if (stream_.peek() != '"') return value;
      stream_.get();
    }
    num_lines_ += c == '\n';
    value += static_cast<char>(c);
  }
  throw Error("'" + file_.string() + "': a quote in the row of line " + std::to_string(line_) + " is not closed",
              "a quote within a quoted text is written twice: \"\"");
}

}  // namespace mugato::data
