// Samples of a WebDataset shard: the members of a tar (plain, gzip, bzip2, xz or zstd) whose names differ in the extension
// alone.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace mugato::data {

struct TarMember {
  int64_t size = 0;
  std::string bytes;  // empty for an extension that was not wanted, and where only headers are read
};

struct TarSample {
  std::string key;                           // the members' path up to the first dot of the file's name
  int64_t begin = 0;                         // byte of its first header in the tar, where reading can begin
  std::map<std::string, TarMember> members;  // by extension, in lower case: what follows that dot
};

// Reads a shard front to back. Consecutive members of one key are a sample. Left out and counted are members that are no
// regular files, have no extension, or lie below a name like __this__. Nothing is extracted to disk, and only wanted members
// are held. Throws Error with shard, member and byte for a shard that is no tar, is damaged, or ends before the blocks that end
// a tar; for a member whose name is absolute or has a part "..", is there twice, or is wanted and has more than 256 MiB.
class TarSamples {
 public:
  using Wanted = std::function<bool(const std::string& extension)>;

  enum class Reading { kHeaders, kContents };

  // From the sample that begins at byte `begin`; of a compressed shard, only 0 is a beginning.
  TarSamples(std::filesystem::path shard, Reading reading, Wanted wanted, int64_t begin = 0);
  ~TarSamples();

  std::optional<TarSample> next();  // nothing after the last

  bool is_compressed() const;
  int64_t num_left_out() const { return num_left_out_; }

 private:
  class Tar;

  bool advance();                // to the next member that belongs to a sample
  void read(TarSample& sample);  // the member into its sample

  Reading reading_;
  Wanted wanted_;
  std::unique_ptr<Tar> tar_;
  std::string key_, extension_;  // of the member
  int64_t num_left_out_ = 0;
  bool at_member_;
};

}  // namespace mugato::data
