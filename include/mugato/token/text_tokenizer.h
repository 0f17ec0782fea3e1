// Text to ids and back. Implementations are in text/: SentencePiece and byte-level BPE.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mugato {

class TextTokenizer {
 public:
  virtual ~TextTokenizer() = default;

  virtual int64_t size() const = 0;                                       // ids are in [0, size())
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;   // thread-safe; empty text gives no ids
  virtual std::string decode(const std::vector<int32_t>& ids) const = 0;  // throws Error for an id out of range
  virtual std::string piece(int32_t id) const = 0;                        // one token, for people
  virtual std::string serialized() const = 0;                             // the model's file, kept in checkpoints
};

}  // namespace mugato
