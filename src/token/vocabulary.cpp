#include "mugato/token/vocabulary.h"

#include "mugato/core/error.h"

namespace mugato {
namespace {

void check_size(const char* what, int64_t size) {
  if (size < 1)
    throw Error(std::string("vocabulary: ") + what + " is " + std::to_string(size), "every range of ids holds at least one");
}

}  // namespace

Vocabulary::Vocabulary(const VocabularyOptions& options) : options_(options) {
  check_size("text_size", options.text_size);
  check_size("num_continuous", options.num_continuous);
  check_size("num_discrete", options.num_discrete);
  if (options.discrete_range == DiscreteRange::kPaper && options.text_size < options.num_discrete)
    throw Error("vocabulary: num_discrete is " + std::to_string(options.num_discrete) + ", but text has only " +
                    std::to_string(options.text_size) + " ids to share with discrete values",
                "--set tokens.num_discrete=" + std::to_string(options.text_size) +
                    ", tokens.discrete_range=separate, or a larger tokenizer");
}

IdRange Vocabulary::discrete() const {
  if (options_.discrete_range == DiscreteRange::kPaper) return {0, options_.num_discrete};
  return {options_.text_size + options_.num_continuous, options_.num_discrete};
}

int64_t Vocabulary::separator() const {
  const int64_t num_own = options_.discrete_range == DiscreteRange::kSeparate ? options_.num_discrete : 0;
  return options_.text_size + options_.num_continuous + num_own;
}

int64_t Vocabulary::end() const { return separator() + 1; }

std::string Vocabulary::describe(int64_t id) const {
  if (text().contains(id)) return "text " + std::to_string(id);
  if (continuous().contains(id)) return "continuous bin " + std::to_string(id - continuous().begin);
  if (discrete().contains(id)) return "discrete " + std::to_string(id - discrete().begin);
  if (id == separator()) return "separator";
  if (id == end()) return "end";
  return "no id " + std::to_string(id) + " in a vocabulary of " + std::to_string(size());
}

}  // namespace mugato
