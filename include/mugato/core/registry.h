// Names to builders. Builders are added by a call, never by a static initialiser, which a linker drops.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mugato/core/error.h"

namespace mugato {

// The candidate with the smallest edit distance to `word`, for "did you mean"; empty when there is none.
std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

template <class Signature>
class Registry;

template <class Result, class... Arguments>
class Registry<Result(Arguments...)> {
 public:
  using Builder = std::function<Result(Arguments...)>;

  // `what` names the kind of thing in error messages: "sequence model", "environment".
  explicit Registry(std::string what) : what_(std::move(what)) {}

  // Throws Error when the name is taken.
  void add(const std::string& name, Builder builder) {
    if (!builders_.emplace(name, std::move(builder)).second)
      throw Error(what_ + " '" + name + "' is registered twice", "give yours another name");
  }

  bool has(const std::string& name) const { return builders_.contains(name); }

  // Throws Error with the nearest known name.
  Result build(const std::string& name, Arguments... arguments) const {
    const auto found = builders_.find(name);
    if (found == builders_.end())
      throw Error("unknown " + what_ + " '" + name + "'", "did you mean '" + nearest_name(name, names()) + "'?");
    return found->second(std::forward<Arguments>(arguments)...);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, builder] : builders_) all.push_back(name);
    return all;
  }

 private:
  std::string what_;
  std::map<std::string, Builder> builders_;
};

}  // namespace mugato
