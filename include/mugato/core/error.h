// What a user or the data did wrong, and failures of the machine. Our own invariants are TORCH_CHECKs.
#pragma once

#include <stdexcept>
#include <string>

namespace mugato {

// A text for a terminal. Files of strangers are cited in messages: control characters in them, which would end the message or
// move the cursor, become '?'.
inline std::string printable(std::string text) {
  for (char& c : text)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = '?';
  return text;
}

// One line that says what is wrong and where (file, key, episode, byte), one line `hint: ...` that says what to do.
class Error : public std::runtime_error {
 public:
  enum class Kind { kUser, kFailure };  // exit code of the program: 2 for the user's mistake, 1 for a failure

  Error(const std::string& message, const std::string& hint, Kind kind = Kind::kUser)
      : std::runtime_error(printable(message + (hint.empty() ? "" : "\nhint: " + hint))), kind_(kind) {}

  int exit_code() const { return kind_ == Kind::kUser ? 2 : 1; }

 private:
  Kind kind_;
};

}  // namespace mugato
