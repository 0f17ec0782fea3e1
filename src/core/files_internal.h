// System calls on files that the sources of core share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace mugato {

// Throws Error "cannot <doing> '<path>': <reason>" for an errno.
[[noreturn]] void throw_system_error(const std::string& doing, const std::filesystem::path& path, int code);

struct Descriptor {
  Descriptor(const std::filesystem::path& path, int flags, const std::string& doing);
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value;
};

int64_t size_of_regular_file(int descriptor, const std::filesystem::path& path);
void read_exactly(int descriptor, const std::filesystem::path& path, char* out, int64_t size, int64_t offset);
void sync_path(const std::filesystem::path& path);
std::filesystem::path folder_of(const std::filesystem::path& path);

}  // namespace mugato
