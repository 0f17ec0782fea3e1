// How byte-level BPE writes bytes in its files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mugato::text {

// Byte-level BPE writes each byte as a character that can be seen: "Ġ" is a space.
std::string visible_byte(uint8_t byte);

// The bytes that a token stands for; none where a character of it stands for no byte.
std::optional<std::string> bytes_of_token(const std::string& token);

}  // namespace mugato::text
