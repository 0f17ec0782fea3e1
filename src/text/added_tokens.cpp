#include "added_tokens.h"

#include "unicode.h"

namespace mugato::text {
namespace {

uint64_t edge(int32_t node, char byte) { return static_cast<uint64_t>(node) << 8 | static_cast<uint8_t>(byte); }

// Where the white space that ends at `end` begins, not before `floor`.
size_t begin_of_spaces(std::string_view text, size_t floor, size_t end) {
  while (end > floor) {
    size_t at = end - 1;
    while (at > floor && (text[at] & 0xC0) == 0x80) --at;
    const auto [value, length] = code_point_at(text, at);
    if (at + length != end || kind_of(value) != CharacterKind::kSpace) break;
    end = at;
  }
  return end;
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens) : tokens_(tokens), token_of_{-1} {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const std::string& content = tokens_[i].content;
    begins_[static_cast<uint8_t>(content[0])] = true;
    int32_t node = 0;
    for (const char byte : content) {
      const auto [child, is_new] = children_.try_emplace(edge(node, byte), static_cast<int32_t>(token_of_.size()));
      if (is_new) token_of_.push_back(-1);
      node = child->second;
    }
    token_of_[static_cast<size_t>(node)] = static_cast<int32_t>(i);
  }
}

std::pair<const AddedToken*, size_t> AddedTokens::find(std::string_view text, size_t at) const {
  std::pair<const AddedToken*, size_t> longest{nullptr, 0};
  int32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const auto child = children_.find(edge(node, text[i]));
    if (child == children_.end()) break;
    node = child->second;
    if (const int32_t token = token_of_[static_cast<size_t>(node)]; token >= 0)
      longest = {&tokens_[static_cast<size_t>(token)], i + 1 - at};
  }
  return longest;
}

void AddedTokens::split(std::string_view text, const std::function<void(std::string_view, int32_t)>& visit) const {
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    if (!begins_[static_cast<uint8_t>(text[at])]) {
      ++at;
      continue;
    }
    const auto [token, length] = find(text, at);
    if (!token) {
      ++at;
      continue;
    }
    const size_t begin = token->takes_left ? begin_of_spaces(text, done, at) : at;
    at += length;
    const size_t end = token->takes_right ? end_of_kind(text, at, CharacterKind::kSpace) : at;
    if (done < begin) visit(text.substr(done, begin - done), kNone);
    visit(text.substr(begin, end - begin), token->id);
    done = end;
  }
  if (done < text.size()) visit(text.substr(done), kNone);
}

}  // namespace mugato::text
