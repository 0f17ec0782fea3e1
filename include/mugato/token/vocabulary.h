// One table of all token ids (paper 2.1): text, continuous bins, discrete values, separator and the special ids.
#pragma once

#include <cstdint>
#include <string>

namespace mugato {

// Where discrete values live. kPaper: [0, 1024), ids that text uses too, as the paper writes it. kSeparate: a range of their
// own.
enum class DiscreteRange { kSeparate, kPaper };

struct VocabularyOptions {
  int64_t text_size = 32000;      // number of pieces of the text tokenizer
  int64_t num_continuous = 1024;  // uniform bins of [-1, 1]
  int64_t num_discrete = 1024;
  DiscreteRange discrete_range = DiscreteRange::kSeparate;
};

// Ids in [begin, begin + size).
struct IdRange {
  int64_t begin = 0, size = 0;
  bool contains(int64_t id) const { return id >= begin && id < begin + size; }
};

class Vocabulary {
 public:
  Vocabulary() : Vocabulary(VocabularyOptions{}) {}
  explicit Vocabulary(const VocabularyOptions& options);  // throws Error when a size is below 1 (paper range: text < discrete)

  // In this order: text, continuous, discrete (kSeparate only), separator, end.
  IdRange text() const { return {0, options_.text_size}; }
  IdRange continuous() const { return {options_.text_size, options_.num_continuous}; }
  IdRange discrete() const;
  int64_t separator() const;  // between the observations and the actions of a timestep
  int64_t end() const;        // closes an answer or a text
  int64_t size() const { return end() + 1; }

  const VocabularyOptions& options() const { return options_; }

  // For people: "text 17", "continuous bin 512", "discrete 3", "separator", "end". In the paper's range, text wins.
  std::string describe(int64_t id) const;

 private:
  VocabularyOptions options_;
};

}  // namespace mugato
