// What fuzz targets do with the files that they made: read them as training does. A reader gives what the rest of mugato takes,
// or refuses with an Error; whatever else happens is found.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "data/fake_sources.h"
#include "input.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/data/sources.h"
#include "mugato/seq/timesteps.h"
#include "temporary_folder.h"

namespace mugato::fuzz {

inline const std::filesystem::path kFixtures = MUGATO_FIXTURES;

// Calls what may refuse; an Error has a hint.
template <class Read>
bool is_read(const Read& read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    TORCH_CHECK(std::string_view(error.what()).find("\nhint: ") != std::string_view::npos, "no hint: ", error.what());
    return false;
  }
}

inline const data::SourceRegistry& all_sources() {
  static const auto registry = [] {
    data::SourceRegistry sources("data source");
    data::register_builtins(sources, env::EnvironmentRegistry("environment"));
    return sources;
  }();
  return registry;
}

// Everything that a source gives of an episode; its fields fit the schema, or are refused.
inline void read_episode(const data::Source& source, int64_t index, const Tokenizer* tokenizer) {
  constexpr int64_t kLarge = 1 << 14;  // values that take long to tokenize
  is_read([&] { source.raw(index); });
  is_read([&] { source.episode_return(index); });
  is_read([&] {
    const auto episode = source.get(index);
    TORCH_CHECK(episode.fields.size() == source.schema().fields.size() && episode.num_steps > 0, episode.id);
    const bool small = std::all_of(episode.fields.begin(), episode.fields.end(), [](const FieldValues& field) {
      return !field.values.defined() || field.values.numel() < kLarge;
    });
    if (tokenizer && small) tokenizer->tokenize(source.schema(), episode);
  });
}

inline void read_source(const data::DataEntry& entry) {
  static const Tokenizer tokenizer(Vocabulary({.text_size = 256, .num_discrete = 1 << 16}),
                                   std::make_shared<data::ByteTokenizer>());
  is_read([&] {
    const auto source = data::build_source(all_sources(), entry, data::Split::kTrain);
    source->about();
    source->reading_order();
    const bool valid = is_read([&] { validate(source->schema(), tokenizer.vocabulary()); });
    const int64_t last = source->size() - 1;
    for (const int64_t index : std::set<int64_t>{0, 1, last})
      if (index >= 0 && index <= last) read_episode(*source, index, valid ? &tokenizer : nullptr);
  });
}

// A copy of a folder of the fixtures, to put files of an input in.
class Folder {
 public:
  explicit Folder(const std::string& fixture = "") {
    if (!fixture.empty())
      std::filesystem::copy(kFixtures / fixture, folder_.path(),
                            std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
  std::string path() const { return folder_.path().string(); }

  void write(const std::string& name, std::string_view bytes) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    FileWriter(folder_ / name, FileWriter::Mode::kTruncate).write(bytes);
  }

 private:
  mugato::testing::TemporaryFolder folder_;
};

inline data::DataEntry entry_of(const std::string& source, data::ReadingOptions reading) {
  reading.held_out = 0;
  return {.source = source, .reading = std::move(reading)};
}

}  // namespace mugato::fuzz
