// Tokens such as <|endoftext|> that are found in the text itself, before it is cut into words.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mugato::text {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool takes_left = false, takes_right = false;  // white space on that side belongs to the token
  bool normalized = false;                       // looked for in the normalised text
};

class AddedTokens {
 public:
  static constexpr int32_t kNone = -1;

  // No content is empty or there twice.
  explicit AddedTokens(const std::vector<AddedToken>& tokens);

  // Cuts the text at the tokens: visit(part, kNone) for what lies between, visit(part, id) for a token. The first token in the
  // text counts, of those at one place the longest.
  void split(std::string_view text, const std::function<void(std::string_view, int32_t)>& visit) const;

 private:
  // The longest token that begins at `at` and its length, or null and 0.
  std::pair<const AddedToken*, size_t> find(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<uint64_t, int32_t> children_;  // a trie over bytes: node and byte to node; the root is 0
  std::vector<int32_t> token_of_;                   // by node: index in tokens_, or -1
  std::array<bool, 256> begins_{};                  // first bytes of tokens
};

}  // namespace mugato::text
