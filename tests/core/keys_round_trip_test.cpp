// A configuration that is written and read again is the same, whatever its values.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "mugato/core/keys.h"
#include "mugato/core/random.h"

namespace mugato {
namespace {

struct Leaf {
  bool flag = true;
  int64_t integer = 5;
  double number = 0.5;
  std::string text = "default";
  std::vector<int64_t> integers = {1};
  std::vector<double> numbers = {2.0};
  std::vector<std::string> texts = {"three"};
};

void declare(KeyTable& keys, const std::string& prefix, Leaf& leaf) {
  keys.add(prefix + "flag", &leaf.flag, "");
  keys.add(prefix + "deep.integer", &leaf.integer, "");
  keys.add(prefix + "number", &leaf.number, "");
  keys.add(prefix + "deep.er.text", &leaf.text, "");
  keys.add(prefix + "integers", &leaf.integers, "");
  keys.add(prefix + "deep.numbers", &leaf.numbers, "");
  keys.add(prefix + "texts", &leaf.texts, "");
}

struct Branch {
  Leaf leaf;
  std::map<std::string, Leaf> named = {{"default", {}}};
  std::deque<Leaf> list = {{}, {}};
};

void declare(KeyTable& keys, const std::string& prefix, Branch& branch) {
  declare(keys, prefix + "leaf.", branch.leaf);
  keys.add_named_tables(prefix + "named", &branch.named, "");
  keys.add_tables(prefix + "inner.list", &branch.list, "");
}

struct Tree {
  Leaf top;
  Branch branch;
  std::vector<Branch> branches = {{}};
};

KeyTable declare_all(Tree& tree) {
  KeyTable keys;
  declare(keys, "", tree.top);
  declare(keys, "branch.", tree.branch);
  keys.add_tables("branches", &tree.branches, "");
  return keys;
}

// Any bits, which covers subnormals, infinities and all exponents; NaNs become the one that TOML has.
double random_double(Random& random) {
  if (random.chance(0.3)) return static_cast<double>(random.between(-5, 5));
  const auto value = std::bit_cast<double>(random.bits());
  return std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;
}

std::string random_text(Random& random) {
  static const std::vector<std::string> kPieces = {
      "a", "\"",   "\\",  "\n",     "\t", "\r", "'",    "'''",  "\"\"\"",   std::string(1, '\0'), " ",
      "#", "=",    "[",   "]",      ".",  ",",  "\x7f", "\x1b", "\xc3\xa9", "\xf0\x9f\x8e\xb2",   "\xe2\x80\xa8",
      "1", "true", "nan", "\\u0041"};
  std::string text;
  for (int64_t i = random.below(6); i > 0; --i) text += kPieces[static_cast<size_t>(random.below(std::ssize(kPieces)))];
  return text;
}

template <class Make>
auto random_list(Random& random, Make make) {
  std::vector<decltype(make())> list(static_cast<size_t>(random.below(4)));
  for (auto& item : list) item = make();
  return list;
}

Leaf random_leaf(Random& random) {
  Leaf leaf;
  leaf.flag = random.chance(0.5);
  leaf.integer = random.chance(0.1) ? INT64_MIN : static_cast<int64_t>(random.bits());
  leaf.number = random_double(random);
  leaf.text = random_text(random);
  leaf.integers = random_list(random, [&] { return static_cast<int64_t>(random.bits()); });
  leaf.numbers = random_list(random, [&] { return random_double(random); });
  leaf.texts = random_list(random, [&] { return random_text(random); });
  return leaf;
}

Branch random_branch(Random& random) {
  Branch branch{random_leaf(random), {}, {}};
  for (int64_t i = random.below(3); i > 0; --i) branch.named[random_text(random)] = random_leaf(random);
  for (int64_t i = random.below(3); i > 0; --i) branch.list.push_back(random_leaf(random));
  return branch;
}

void expect_same(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE(std::bit_cast<uint64_t>(a[i]) == std::bit_cast<uint64_t>(b[i]) || (std::isnan(a[i]) && std::isnan(b[i])))
        << a[i] << " " << b[i];
}

void expect_same(const Leaf& a, const Leaf& b) {
  EXPECT_EQ(a.flag, b.flag);
  EXPECT_EQ(a.integer, b.integer);
  expect_same(std::vector{a.number}, std::vector{b.number});
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.integers, b.integers);
  expect_same(a.numbers, b.numbers);
  EXPECT_EQ(a.texts, b.texts);
}

void expect_same(const Branch& a, const Branch& b) {
  expect_same(a.leaf, b.leaf);
  ASSERT_EQ(a.named.size(), b.named.size());
  for (const auto& [name, leaf] : a.named) {
    ASSERT_TRUE(b.named.contains(name)) << name;
    expect_same(leaf, b.named.at(name));
  }
  ASSERT_EQ(a.list.size(), b.list.size());
  for (size_t i = 0; i < a.list.size(); ++i) expect_same(a.list[i], b.list[i]);
}

TEST(KeysRoundTrip, RandomTreesComeBackTheSame) {
  for (uint64_t seed = 0; seed < 500; ++seed) {
    Random random(hash_key(seed));
    Tree written{random_leaf(random), random_branch(random), {}};
    for (int64_t i = random.below(3); i > 0; --i) written.branches.push_back(random_branch(random));
    const std::string text = declare_all(written).to_toml();
    Tree read;
    ASSERT_NO_THROW(declare_all(read).read_toml(text, "resolved.toml")) << text;
    expect_same(written.top, read.top);
    expect_same(written.branch, read.branch);
    ASSERT_EQ(written.branches.size(), read.branches.size());
    for (size_t i = 0; i < written.branches.size(); ++i) expect_same(written.branches[i], read.branches[i]);
    EXPECT_EQ(declare_all(read).to_toml(), text);
    if (HasFailure()) {
      ADD_FAILURE() << "seed " << seed << "\n" << text;
      return;
    }
  }
}

TEST(KeysRoundTrip, TheDocumentIsReadable) {
  Tree tree;
  tree.branches = {};
  tree.branch.named = {{"two words", {}}};
  tree.branch.list = {};
  const std::string text = declare_all(tree).to_toml();
  EXPECT_EQ(text.substr(0, text.find("[branch.leaf]")), R"(flag = true
number = 0.5
integers = [1]
texts = ["three"]
branches = []

[deep]
integer = 5
numbers = [2.0]

[deep.er]
text = "default"

)");
  EXPECT_NE(text.find("\n[branch.inner]\nlist = []\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n[branch.named.\"two words\"]\nflag = true\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace mugato
