// Little stories from a probabilistic grammar: text whose true probability is known. The cross-entropy of a language model on
// them has a known floor, entropy(), so that a loss says how much there is left to learn.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mugato/env/environment.h"

namespace mugato::env {

// One document: lower-case ASCII words and full stops on one line, such as "mia took a red ball to the park on a sunny day.
// ..."
struct Story {
  std::string text;
  double log_probability = 0.0;  // natural logarithm, of the whole document including that it ends where it does
};

// Three or four sentences, 25 to 45 words, of fewer than 120 distinct ones. A name, a place, a thing and an animal are drawn
// when they are first spoken of and recalled later; pronouns agree with the name; the end depends on what happened. The
// grammar is unambiguous: every text has at most one derivation. All members are const and safe to call from several threads.
class Stories {
 public:
  Stories();

  // A pure function of the seed.
  Story tell(uint64_t seed) const;

  // Log-probability that tell() of a random seed is this text, by a parser that shares no code with the generator.
  // Minus infinity for a text that the grammar cannot make, a proper prefix of a story included.
  double log_probability(std::string_view text) const;

  // The number of derivations of a text: 1 for a story, 0 for anything else.
  int64_t num_derivations(std::string_view text) const;

  // Expected -log_probability of a document, in nats, exact: the floor of a model's loss summed over a document.
  double entropy() const;

  std::vector<std::string> vocabulary() const;  // the words, sorted, without the full stop

  // Nats per document, so that less is better. expert: entropy(). random: a uniform choice at every point among the words, the
  // full stop and the end of the document, exact.
  ReferenceScores reference_scores() const;

  // The document of a seed on a card for people, uint8 (320,560,3).
  at::Tensor picture(uint64_t seed) const;

 private:
  static constexpr size_t kMaxVariables = 16;

  struct Symbol {
    enum class Kind { kWord, kVariable, kRule } kind;
    size_t index;  // into words_, variables_ or rules_
    size_t form;   // kVariable: which form of the value: its name, its pronoun
  };
  struct Alternative {
    double log_weight;  // logarithm of a probability
    std::vector<Symbol> symbols;
  };
  // A variable is drawn where a document first uses it and keeps its value to the end.
  struct VariableValue {
    double log_weight;
    std::vector<std::string> forms;
  };
  using Rule = std::vector<Alternative>;
  using Variable = std::vector<VariableValue>;
  struct Rest;    // what of a derivation is still to come
  struct Parser;  // enumerates the derivations of a text
  struct Teller;  // draws one

  Symbol compile(std::string_view symbol);
  double expected_words(const Rule& rule) const;  // full stops included
  double expected_surprise(const Rest* rest, uint32_t bound) const;

  std::vector<std::string> words_;
  std::vector<Variable> variables_;
  std::vector<Rule> rules_;  // the first is the start
};

}  // namespace mugato::env
