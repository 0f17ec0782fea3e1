#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>

#include "mugato/core/error.h"
#include "mugato/text/sentencepiece.h"

namespace mugato::text {
namespace {

// Texts in parts that the trainer can take. It leaves out texts that are longer than it was told, or that hold U+2585, its mark
// of the unknown; and it never makes a piece with that mark, a tab or a zero byte in it.
class Sentences final : public sentencepiece::SentenceIterator {
 public:
  Sentences(const TextStream& texts, size_t max_bytes) : texts_(texts), max_bytes_(max_bytes) { Next(); }

  bool done() const override { return done_; }
  const std::string& value() const override { return sentence_; }
  sentencepiece::util::Status status() const override { return {}; }

  void Next() override {
    do {
      while (at_ == text_.size()) {
        auto text = texts_();
        if (!text) {
          done_ = true;
          return;
        }
        text_ = std::move(*text);
        at_ = 0;
      }
      cut_sentence();
    } while (sentence_.empty());
  }

 private:
  void cut_sentence() {
    const auto rest = std::string_view(text_).substr(at_, max_bytes_ + 1);
    const size_t zero = rest.find_first_of(std::string_view("\t\0", 2));
    const size_t stop = std::min(zero, rest.substr(0, zero).find(kUnknown));
    if (stop <= max_bytes_ || rest.size() <= max_bytes_) {
      sentence_ = rest.substr(0, stop);
      const size_t separator = stop >= rest.size() ? 0 : rest[stop] == kUnknown[0] ? kUnknown.size() : 1;
      at_ += sentence_.size() + separator;
      return;
    }
    size_t end = rest.substr(0, max_bytes_).find_last_of(" \n");
    if (end == 0 || end == std::string_view::npos) {
      end = max_bytes_;  // a word without end: between two characters
      while (end > max_bytes_ - 3 && (rest[end] & 0xC0) == 0x80) --end;
    }
    sentence_ = rest.substr(0, end);
    at_ += end;
  }

  static constexpr std::string_view kUnknown = "\u2585";

  const TextStream& texts_;
  size_t max_bytes_;
  std::string text_, sentence_;
  size_t at_ = 0;
  bool done_ = false;
};

void check(const SentencePieceOptions& options) {
  const auto require = [](bool holds, const std::string& what, const std::string& hint) {
    if (!holds) throw Error(what, hint);
  };
  require(options.vocab_size >= 1 && options.vocab_size <= 1 << 24,
          "a text tokenizer of " + std::to_string(options.vocab_size) + " pieces", "ask for 1 to 2^24");
  require(options.model_type == "unigram" || options.model_type == "bpe",
          "unknown type '" + options.model_type + "' of SentencePiece model", "unigram or bpe");
  require(options.character_coverage >= 0.98 && options.character_coverage <= 1.0,
          "a character coverage of " + std::to_string(options.character_coverage), "0.98 to 1");
  require(options.input_sentence_size > 100,
          "only " + std::to_string(options.input_sentence_size) + " sentences to train a tokenizer on", "keep at least 101");
  require(options.max_sentence_bytes >= 16 && options.max_sentence_bytes <= 1 << 20,
          "sentences of at most " + std::to_string(options.max_sentence_bytes) + " bytes", "16 to 2^20");
}

// The trainer says "Internal: src/trainer.cc(12) [condition] why", and not always why.
std::string reason_of(const std::string& status) {
  const size_t bracket = status.rfind("] ");
  return bracket == std::string::npos || bracket + 2 == status.size() ? status : status.substr(bracket + 2);
}

}  // namespace

std::string train_sentencepiece(const TextStream& texts, const SentencePieceOptions& options) {
  check(options);
  Sentences sentences(texts, static_cast<size_t>(options.max_sentence_bytes));
  if (sentences.done()) throw Error("there is no text to train a tokenizer on", "check the source of the texts");
  const auto flag = [](bool value) { return value ? "true" : "false"; };
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      std::unordered_map<std::string, std::string>{
          {"vocab_size", std::to_string(options.vocab_size)},
          {"hard_vocab_limit", flag(!options.at_most)},
          {"model_type", options.model_type},
          {"byte_fallback", flag(options.byte_fallback)},
          {"character_coverage", std::to_string(options.character_coverage)},
          {"input_sentence_size", std::to_string(options.input_sentence_size)},
          {"shuffle_input_sentence", "true"},
          {"max_sentence_length", std::to_string(options.max_sentence_bytes)},
          {"normalization_rule_name", "identity"},
          {"remove_extra_whitespaces", "false"},
          {"bos_id", "-1"},
          {"eos_id", "-1"},
          {"pad_id", "-1"},
          {"num_threads", "16"},  // sums round by their number: the same everywhere
          {"minloglevel", "3"},
      },
      &sentences, &model);
  if (!status.ok())
    throw Error("SentencePiece could not train a tokenizer of " + std::to_string(options.vocab_size) +
                    " pieces: " + reason_of(status.ToString()),
                "take more or other text, another number of pieces, or as many as there are (at_most)");
  return model;
}

}  // namespace mugato::text
