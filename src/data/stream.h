// Files of text, read front to back.
#pragma once

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "mugato/core/error.h"

namespace mugato::data {

// Throws Error with the file when it cannot be opened or is no regular file.
inline std::ifstream open_stream(const std::filesystem::path& file) {
  std::error_code reason;
  const bool regular = std::filesystem::is_regular_file(file, reason);
  std::ifstream stream(file, std::ios::binary);
  if (regular && stream) return stream;
  throw Error("cannot read '" + file.string() + "': " +
                  (reason    ? reason.message()
                   : regular ? std::generic_category().message(errno)
                             : "it is not a regular file"),
              "check the path and the permissions");
}

// Throws Error when reading stopped for another reason than the end of the file.
inline void check_stream(const std::ifstream& stream, const std::filesystem::path& file) {
  if (stream.bad())
    throw Error("cannot read '" + file.string() + "' to its end", "check the disk or the network file system",
                Error::Kind::kFailure);
}

}  // namespace mugato::data
