// Many short texts in little memory.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mugato::data {

// Texts one after the other in one string.
class TextPool {
 public:
  void add(std::string_view text) {
    bytes_ += text;
    ends_.push_back(bytes_.size());
  }
  size_t size() const { return ends_.size(); }
  std::string_view operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }

 private:
  std::string bytes_;
  std::vector<size_t> ends_;
};

// Texts that come again and again, each kept once and known by a number.
class TextNumbers {
 public:
  uint32_t number(std::string_view text) {
    const auto found = numbers_.find(text);
    if (found != numbers_.end()) return found->second;
    const auto number = static_cast<uint32_t>(texts_.size());
    texts_.emplace_back(text);
    numbers_.emplace(texts_.back(), number);
    return number;
  }
  size_t size() const { return texts_.size(); }
  const std::string& operator[](size_t number) const { return texts_[number]; }

 private:
  std::deque<std::string> texts_;  // whose elements stay where they are
  std::unordered_map<std::string_view, uint32_t> numbers_;
};

}  // namespace mugato::data
