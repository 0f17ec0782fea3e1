// Words for people.
#pragma once

#include <functional>
#include <string>

namespace mugato {

// "a, b, c": the items of a range, or what `text_of` makes of each.
template <class Range, class TextOf = std::identity>
std::string comma_separated(const Range& items, const TextOf& text_of = {}) {
  std::string all;
  for (const auto& item : items) all += (all.empty() ? "" : ", ") + std::invoke(text_of, item);
  return all;
}

}  // namespace mugato
