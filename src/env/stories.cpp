#include "mugato/env/stories.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <sstream>

#include "mugato/core/random.h"

namespace mugato::env {
namespace {

// The grammar. Alternatives are parted by '|' and begin with their weight, in percent of the list. In a rule, `<name>` is a
// rule, `$name` the first form of a variable's value, `$name.1` the second, everything else a word.
struct Definition {
  const char* name;
  const char* alternatives;
};

constexpr Definition kVariables[] = {
    // name, subject pronoun, object pronoun
    {"who",
     "22 mia she her | 18 tom he him | 14 anna she her | 12 ben he him | 9 lily she her | 8 sam he him | 7 rosa she her |"
     " 5 max he him | 3 ella she her | 2 leo he him"},
    {"place", "24 park | 18 forest | 14 beach | 12 garden | 10 farm | 9 lake | 6 market | 7 castle"},
    {"thing", "19 ball | 15 cake | 13 kite | 11 drum | 9 hat | 8 book | 7 lamp | 6 coin | 5 boat | 4 doll | 3 bell"},
    {"colour", "30 red | 22 blue | 16 green | 12 yellow | 9 white | 7 black | 4 purple"},
    {"animal", "25 dog | 19 cat | 14 fox | 11 bear | 10 duck | 8 frog | 6 goat | 7 owl"},
    {"size", "24 big | 20 small | 15 young | 12 hungry | 10 clever | 8 sleepy | 11 shy"},
    {"weather", "34 sunny | 21 rainy | 17 cold | 13 windy | 9 warm | 6 cloudy"},
    {"time", "45 day | 27 morning | 18 evening | 10 afternoon"},
    {"spot", "31 tree | 22 bush | 17 rock | 13 bench | 10 bridge | 7 wall"},
    {"gift", "36 flower | 27 shell | 18 feather | 19 key"},
    {"mood", "35 happy | 25 sad | 18 tired | 13 proud | 9 angry"},
};

constexpr Definition kRules[] = {
    {"story", "100 <opening> <meeting> <turn>"},
    {"opening",
     "40 one $weather $time $who went to the $place with a $colour $thing . |"
     "35 $who took a $colour $thing to the $place on a $weather $time . |"
     "25 $who lived near the $place and had a $colour $thing ."},
    {"meeting",
     "45 there $who.1 met a $size $animal who wanted the $thing . |"
     "35 a $size $animal saw $who.2 and asked for the $thing . |"
     "20 then a $size $animal came and played with $who.2 ."},
    {"turn",
     "30 $who.1 gave the $colour $thing to the $animal . <thanks> |"
     "28 the $animal took the $thing and ran to the $spot . <chase> |"
     "22 $who.1 hid the $colour $thing under the $spot . <search> |"
     "20 the $animal got the $thing and gave $who.2 a $gift . <trade>"},
    {"thanks",
     "45 the $animal was $mood and $who left the $place . |"
     "35 now the $size $animal has a $colour $thing . |"
     "20 "},
    {"chase",
     "50 $who found the $colour $thing near the $spot . |"
     "30 $who was $mood and left the $place without the $thing . |"
     "20 but the $size $animal came back to $who ."},
    {"search",
     "55 the $size $animal looked under the $spot and found the $thing . |"
     "30 the $animal was $mood and left the $place . |"
     "15 "},
    {"trade",
     "55 $who.1 was $mood and went home with the $gift . |"
     "45 at the $place $who.1 put the $gift near the $spot ."},
};

struct Weighted {
  double log_weight;  // logarithm of a probability
  std::vector<std::string> symbols;
};

std::vector<Weighted> alternatives_of(const Definition& definition) {
  std::vector<Weighted> alternatives;
  std::istringstream stream(definition.alternatives);
  double total = 0.0;
  for (std::string part; std::getline(stream, part, '|');) {
    std::istringstream words(part);
    double weight = 0.0;
    TORCH_CHECK(words >> weight && weight > 0.0, "'", definition.name, "' has an alternative without a weight: ", part);
    auto& alternative = alternatives.emplace_back(Weighted{weight, {}});
    for (std::string word; words >> word;) alternative.symbols.push_back(word);
    total += weight;
  }
  for (auto& alternative : alternatives) alternative.log_weight = std::log(alternative.log_weight / total);
  return alternatives;
}

size_t index_of(std::span<const Definition> definitions, std::string_view name) {
  for (size_t i = 0; i < definitions.size(); ++i)
    if (definitions[i].name == name) return i;
  TORCH_CHECK(false, "the grammar of stories uses '", std::string(name), "' and does not define it");
}

// Draws an index of a list whose items carry the logarithms of their probabilities.
template <class Items>
size_t draw(const Items& items, Random& random) {
  double left = random.uniform();
  for (size_t i = 0; i + 1 < items.size(); ++i)
    if ((left -= std::exp(items[i].log_weight)) < 0.0) return i;
  return items.size() - 1;
}

}  // namespace

// A linked list of symbol lists: what is left of an alternative, then what is left of the one that contains it, and so on.
struct Stories::Rest {
  std::span<const Symbol> symbols;
  const Rest* next = nullptr;
};

Stories::Stories() {
  static_assert(std::size(kVariables) <= kMaxVariables);
  for (const auto& definition : kVariables) {
    auto& variable = variables_.emplace_back();
    for (auto& [log_weight, forms] : alternatives_of(definition)) variable.push_back({log_weight, forms});
  }
  for (const auto& definition : kRules) {
    auto& rule = rules_.emplace_back();
    for (const auto& [log_weight, symbols] : alternatives_of(definition)) {
      auto& alternative = rule.emplace_back(Alternative{log_weight, {}});
      for (const auto& symbol : symbols) alternative.symbols.push_back(compile(symbol));
    }
  }
}

Stories::Symbol Stories::compile(std::string_view symbol) {
  if (symbol.front() == '<') return {Symbol::Kind::kRule, index_of(kRules, symbol.substr(1, symbol.size() - 2)), 0};
  if (symbol.front() == '$') {
    const size_t dot = symbol.find('.');
    const size_t form = dot == std::string_view::npos ? 0 : static_cast<size_t>(symbol[dot + 1] - '0');
    const size_t index = index_of(kVariables, symbol.substr(1, dot == std::string_view::npos ? dot : dot - 1));
    for (const auto& value : variables_[index]) TORCH_CHECK(form < value.forms.size(), "no form for ", std::string(symbol));
    return {Symbol::Kind::kVariable, index, form};
  }
  words_.emplace_back(symbol);
  return {Symbol::Kind::kWord, words_.size() - 1, 0};
}

// -------------------------------------------------------------------------------------------------------------- telling

struct Stories::Teller {
  const Stories& grammar;
  Random random;
  std::array<const VariableValue*, kMaxVariables> bound{};
  Story story;

  void expand(const Rule& rule) {
    const auto& alternative = rule[draw(rule, random)];
    story.log_probability += alternative.log_weight;
    for (const auto& symbol : alternative.symbols) {
      if (symbol.kind == Symbol::Kind::kRule) expand(grammar.rules_[symbol.index]);
      else if (symbol.kind == Symbol::Kind::kWord) write(grammar.words_[symbol.index]);
      else write(value(symbol.index).forms[symbol.form]);
    }
  }

  const VariableValue& value(size_t index) {
    if (bound[index] == nullptr) {
      const auto& variable = grammar.variables_[index];
      bound[index] = &variable[draw(variable, random)];
      story.log_probability += bound[index]->log_weight;
    }
    return *bound[index];
  }

  void write(const std::string& word) {
    if (word != "." && !story.text.empty()) story.text += ' ';
    story.text += word;
  }
};

Story Stories::tell(uint64_t seed) const {
  Teller teller{*this, Random(hash_key(seed, 0x73746f7279ULL)), {}, {}};  // "story": other worlds draw other numbers
  teller.expand(rules_.front());
  return std::move(teller.story);
}

// -------------------------------------------------------------------------------------------------------------- parsing

struct Stories::Parser {
  static constexpr size_t kUnbound = SIZE_MAX;

  const Stories& grammar;
  std::string_view text;
  std::array<size_t, kMaxVariables> bound;
  double probability = 0.0;  // summed over the derivations found
  int64_t num_derivations = 0;

  Parser(const Stories& stories, std::string_view document) : grammar(stories), text(document) {
    bound.fill(kUnbound);
    const Symbol start{Symbol::Kind::kRule, 0, 0};
    const Rest all{{&start, 1}, nullptr};
    parse(&all, 0, 0.0);
  }

  // Where the text goes on after `word` at `begin`, or npos.
  size_t after(size_t begin, std::string_view word) const {
    if (word != "." && begin > 0) {
      if (begin >= text.size() || text[begin] != ' ') return std::string_view::npos;
      ++begin;
    }
    return text.substr(std::min(begin, text.size())).starts_with(word) ? begin + word.size() : std::string_view::npos;
  }

  void parse_word(const Rest& rest, size_t begin, double log_weight, std::string_view word) {
    if (const size_t end = after(begin, word); end != std::string_view::npos) parse(&rest, end, log_weight);
  }

  // Tries every way to derive text[begin:] from `rest`; log_weight is that of the choices so far.
  void parse(const Rest* rest, size_t begin, double log_weight) {
    while (rest != nullptr && rest->symbols.empty()) rest = rest->next;
    if (rest == nullptr) {
      if (begin != text.size()) return;
      probability += std::exp(log_weight);
      ++num_derivations;
      return;
    }
    const Symbol& symbol = rest->symbols.front();
    const Rest later{rest->symbols.subspan(1), rest->next};
    if (symbol.kind == Symbol::Kind::kWord) return parse_word(later, begin, log_weight, grammar.words_[symbol.index]);
    if (symbol.kind == Symbol::Kind::kRule) {
      for (const auto& alternative : grammar.rules_[symbol.index]) {
        const Rest inside{alternative.symbols, &later};
        parse(&inside, begin, log_weight + alternative.log_weight);
      }
      return;
    }
    const auto& variable = grammar.variables_[symbol.index];
    size_t& value = bound[symbol.index];
    if (value != kUnbound) return parse_word(later, begin, log_weight, variable[value].forms[symbol.form]);
    for (value = 0; value < variable.size(); ++value)
      parse_word(later, begin, log_weight + variable[value].log_weight, variable[value].forms[symbol.form]);
    value = kUnbound;
  }
};

double Stories::log_probability(std::string_view text) const {
  const double probability = Parser(*this, text).probability;
  return probability > 0.0 ? std::log(probability) : -std::numeric_limits<double>::infinity();
}

int64_t Stories::num_derivations(std::string_view text) const { return Parser(*this, text).num_derivations; }

// -------------------------------------------------------------------------------------------------------------- entropy

// Expected surprise of what is still to come, when the variables in the bit set `bound` have their values. The values are
// drawn independently of everything else, so the surprise depends on which are bound, not on what they are.
double Stories::expected_surprise(const Rest* rest, uint32_t bound) const {
  const auto entropy_of = [](const auto& items) {
    double sum = 0.0;
    for (const auto& item : items) sum -= std::exp(item.log_weight) * item.log_weight;
    return sum;
  };
  while (rest != nullptr && rest->symbols.empty()) rest = rest->next;
  if (rest == nullptr) return 0.0;
  const Symbol& symbol = rest->symbols.front();
  const Rest later{rest->symbols.subspan(1), rest->next};
  if (symbol.kind == Symbol::Kind::kWord) return expected_surprise(&later, bound);
  if (symbol.kind == Symbol::Kind::kVariable) {
    const uint32_t bit = 1U << symbol.index;
    return ((bound & bit) != 0 ? 0.0 : entropy_of(variables_[symbol.index])) + expected_surprise(&later, bound | bit);
  }
  double expected = entropy_of(rules_[symbol.index]);
  for (const auto& alternative : rules_[symbol.index]) {
    const Rest inside{alternative.symbols, &later};
    expected += std::exp(alternative.log_weight) * expected_surprise(&inside, bound);
  }
  return expected;
}

double Stories::entropy() const {
  const Symbol start{Symbol::Kind::kRule, 0, 0};
  const Rest all{{&start, 1}, nullptr};
  return expected_surprise(&all, 0);
}

double Stories::expected_words(const Rule& rule) const {
  double expected = 0.0;
  for (const auto& alternative : rule)
    for (const auto& symbol : alternative.symbols)
      expected +=
          std::exp(alternative.log_weight) * (symbol.kind == Symbol::Kind::kRule ? expected_words(rules_[symbol.index]) : 1.0);
  return expected;
}

ReferenceScores Stories::reference_scores() const {
  const auto num_choices = static_cast<double>(vocabulary().size() + 2);
  return {.random = (expected_words(rules_.front()) + 1.0) * std::log(num_choices), .expert = entropy()};
}

std::vector<std::string> Stories::vocabulary() const {
  std::set<std::string> words(words_.begin(), words_.end());
  for (const auto& variable : variables_)
    for (const auto& value : variable) words.insert(value.forms.begin(), value.forms.end());
  words.erase(".");
  return {words.begin(), words.end()};
}

}  // namespace mugato::env
