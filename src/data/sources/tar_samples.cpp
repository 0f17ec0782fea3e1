#if MUGATO_ARCHIVE
#include "tar_samples.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "../../core/files_internal.h"
#include "mugato/core/error.h"

namespace mugato::data {
namespace {

constexpr int64_t kMaxMember = int64_t{256} << 20;
constexpr int64_t kStep = int64_t{1} << 20;  // a claimed size is believed so far ahead
constexpr size_t kBuffer = size_t{64} << 10;

// The file under libarchive, from any byte on.
struct Input {
  Input(const std::filesystem::path& path, int64_t begin)
      : file(path, O_RDONLY, "read"), size(size_of_regular_file(file.value, path)), position(begin), buffer(kBuffer) {}

  Descriptor file;
  int64_t size, position;
  std::vector<char> buffer;

  static la_ssize_t read(archive* reader, void* self, const void** bytes) {
    auto& input = *static_cast<Input*>(self);
    const auto count = ::pread(input.file.value, input.buffer.data(), input.buffer.size(), input.position);
    if (count < 0) archive_set_error(reader, errno, "the file cannot be read");
    else input.position += count;
    *bytes = input.buffer.data();
    return count;
  }

  static la_int64_t skip(archive*, void* self, la_int64_t request) {
    auto& input = *static_cast<Input*>(self);
    const int64_t count = std::clamp<int64_t>(input.size - input.position, 0, request);
    input.position += count;
    return count;
  }
};

// The rule of WebDataset: ^((?:.*/|)[^.]+)[.]([^/]*)$.
bool split_name(const std::string& name, std::string* key, std::string* extension) {
  const size_t slash = name.rfind('/'), stem = slash == std::string::npos ? 0 : slash + 1, dot = name.find('.', stem);
  if (dot == std::string::npos || dot == stem) return false;
  *key = name.substr(0, dot);
  *extension = name.substr(dot + 1);
  std::transform(extension->begin(), extension->end(), extension->begin(),
                 [](unsigned char c) { return static_cast<char>(c < 0x80 ? std::tolower(c) : c); });
  return true;
}

// __x__ at the root, alone or as a folder.
bool is_about_the_shard(const std::string& name) {
  const auto root = name.substr(0, name.find('/'));
  return root.size() >= 4 && root.starts_with("__") && root.ends_with("__");
}

bool leaves_its_folder(const std::string& name) {
  return name.starts_with('/') || name == ".." || name.starts_with("../") || name.ends_with("/..") ||
         name.find("/../") != std::string::npos;
}

}  // namespace

class TarSamples::Tar {
 public:
  Tar(std::filesystem::path path, int64_t begin) : path_(std::move(path)), begin_(begin), input_(path_, begin) {
    TORCH_CHECK(reader_, "no memory for an archive");
    archive_read_support_format_tar(reader_.get());
    archive_read_support_filter_gzip(reader_.get());
    archive_read_support_filter_bzip2(reader_.get());
    archive_read_support_filter_xz(reader_.get());
    archive_read_support_filter_zstd(reader_.get());
    archive_read_set_skip_callback(reader_.get(), Input::skip);
    if (archive_read_open(reader_.get(), &input_, nullptr, Input::read, nullptr) != ARCHIVE_OK) refuse("it is no tar");
  }

  // To the header of the next member; false after the last.
  bool next() {
    const int result = archive_read_next_header(reader_.get(), &entry_);
    byte_ = begin_ +
            (result == ARCHIVE_FATAL ? archive_filter_bytes(reader_.get(), 0) : archive_read_header_position(reader_.get()));
    if (result == ARCHIVE_EOF) return check_end();
    const char* name = result == ARCHIVE_OK || result == ARCHIVE_WARN ? archive_entry_pathname(entry_) : nullptr;
    place_ = name ? "member" : place_.empty() ? "" : "after member";
    if (!name) refuse("the tar is cut or damaged");
    name_ = name;
    if (leaves_its_folder(name_)) refuse("it would leave its folder", "tars of data hold no such names: do not trust this one");
    return true;
  }

  bool is_regular() const { return archive_entry_filetype(entry_) == AE_IFREG && !archive_entry_hardlink(entry_); }

  void check_size() const {
    if (size() > kMaxMember) refuse("it claims to have " + std::to_string(size()) + " bytes", "the most is 256 MiB");
  }

  std::string read() {
    std::string bytes;
    for (int64_t have = 0; have < size();) {
      const int64_t step = std::min(size() - have, kStep);
      bytes.resize(static_cast<size_t>(have + step));
      const auto count = archive_read_data(reader_.get(), bytes.data() + have, static_cast<size_t>(step));
      if (count <= 0) refuse("it is cut or damaged");
      have += count;
    }
    bytes.resize(static_cast<size_t>(size()));
    return bytes;
  }

  [[noreturn]] void refuse(const std::string& what, std::string hint = {}) const {
    const char* reason = hint.empty() ? archive_error_string(reader_.get()) : nullptr;
    if (hint.empty()) hint = "copy or download the shard again";
    throw Error("'" + path_.string() + "', " + (place_.empty() ? "" : place_ + " '" + name_ + "', ") + "byte " +
                    std::to_string(byte_) + ": " + what + (reason ? " (" + std::string(reason) + ")" : ""),
                hint);
  }

  bool is_compressed() const { return archive_filter_count(reader_.get()) > 1; }
  const std::string& name() const { return name_; }
  int64_t begin() const { return byte_; }
  int64_t size() const { return archive_entry_size(entry_); }

 private:
  // libarchive takes the end of the file for the end of the archive.
  bool check_end() const {
    if (archive_filter_bytes(reader_.get(), 0) + begin_ == byte_)
      refuse("the shard ends without the two blocks of zeros that end a tar",
             "it was cut; if you know that it is whole, append them: head -c 1024 /dev/zero >> FILE");
    return false;
  }

  struct Free {
    void operator()(archive* reader) const { archive_read_free(reader); }
  };

  std::filesystem::path path_;
  int64_t begin_;
  Input input_;
  std::unique_ptr<archive, Free> reader_{archive_read_new()};
  archive_entry* entry_ = nullptr;
  std::string place_, name_;  // "member" or "after member", and of which name
  int64_t byte_ = 0;          // of its header in the tar
};

TarSamples::TarSamples(std::filesystem::path shard, Reading reading, Wanted wanted, int64_t begin)
    : reading_(reading),
      wanted_(std::move(wanted)),
      tar_(std::make_unique<Tar>(std::move(shard), begin)),
      at_member_(advance()) {}

TarSamples::~TarSamples() = default;

bool TarSamples::is_compressed() const { return tar_->is_compressed(); }

bool TarSamples::advance() {
  while (tar_->next()) {
    if (tar_->is_regular() && !is_about_the_shard(tar_->name()) && split_name(tar_->name(), &key_, &extension_)) return true;
    ++num_left_out_;
  }
  return false;
}

void TarSamples::read(TarSample& sample) {
  auto [member, added] = sample.members.try_emplace(extension_);
  if (!added) tar_->refuse("the sample '" + key_ + "' has a member '" + extension_ + "' already", "a key is written once");
  member->second.size = tar_->size();
  if (!wanted_(extension_)) return;
  tar_->check_size();
  if (reading_ == Reading::kContents) member->second.bytes = tar_->read();
}

std::optional<TarSample> TarSamples::next() {
  if (!at_member_) return std::nullopt;
  TarSample sample{.key = key_, .begin = tar_->begin()};
  do {
    read(sample);
    at_member_ = advance();
  } while (at_member_ && key_ == sample.key);
  return sample;
}

}  // namespace mugato::data
#endif
