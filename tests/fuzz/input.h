// The bytes of an input, taken from the front as the choices that a target makes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mugato::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  // As many bytes, or fewer at the end.
  std::string_view take(size_t count) {
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }

  // Zero at the end.
  template <class Number>
  Number number() {
    Number number{};
    const auto bytes = take(sizeof number);
    std::memcpy(&number, bytes.data(), bytes.size());
    return number;
  }

  size_t below(size_t count) { return number<uint8_t>() % count; }
  bool flag() { return below(2) == 1; }

  template <class Choices>
  const auto& one_of(const Choices& choices) {
    return choices[below(std::size(choices))];
  }

 private:
  std::string_view rest_;
};

// The target: reads the input, and returns. Each file *_fuzz.cpp defines it for a program of its own.
void fuzz(Input input);

}  // namespace mugato::fuzz
