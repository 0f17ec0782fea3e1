// Tars made by hand, so that they may be wrong, and their compressed forms made by libarchive.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>

namespace mugato::data {

// A header of POSIX's ustar. type: '0' a file, '5' a folder, '1' and '2' links, 'x' attributes of the next member.
inline std::string tar_header(const std::string& name, size_t size, char type = '0') {
  std::array<char, 512> block{};
  const auto put = [&](size_t at, const std::string& text) { text.copy(block.data() + at, text.size()); };
  const auto octal = [](size_t value, int width) {
    std::array<char, 32> digits{};
    std::snprintf(digits.data(), digits.size(), "%0*zo", width, value);
    return std::string(digits.data());
  };
  put(0, name.substr(0, 100));
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, octal(size, 11));
  put(136, "00000000000");
  put(148, "        ");
  block[156] = type;
  put(157, type == '1' || type == '2' ? "a.jpg" : "");
  put(257, std::string("ustar\0", 6) + "00");
  size_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, octal(sum, 6) + std::string("\0 ", 2));
  return {block.begin(), block.end()};
}

inline std::string tar_member(const std::string& name, const std::string& bytes, char type = '0') {
  return tar_header(name, bytes.size(), type) + bytes + std::string((512 - bytes.size() % 512) % 512, '\0');
}

inline const std::string kTarEnd(1024, '\0');

// The bytes as a compressed file; `add_filter` is one of archive_write_add_filter_*.
inline void write_compressed(const std::filesystem::path& file, const std::string& bytes, int (*add_filter)(archive*)) {
  archive* writer = archive_write_new();
  ASSERT_EQ(archive_write_set_format_raw(writer), ARCHIVE_OK);
  ASSERT_EQ(add_filter(writer), ARCHIVE_OK);
  ASSERT_EQ(archive_write_open_filename(writer, file.c_str()), ARCHIVE_OK);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  ASSERT_EQ(archive_write_header(writer, entry), ARCHIVE_OK);
  ASSERT_EQ(archive_write_data(writer, bytes.data(), bytes.size()), static_cast<la_ssize_t>(bytes.size()));
  archive_entry_free(entry);
  ASSERT_EQ(archive_write_close(writer), ARCHIVE_OK);
  archive_write_free(writer);
}

}  // namespace mugato::data
