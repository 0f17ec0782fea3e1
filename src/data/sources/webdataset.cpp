#include "formats.h"

#if MUGATO_ARCHIVE
#include <nlohmann/json.hpp>
#include <numeric>

#include "../../core/json_depth.h"
#include "../file_list.h"
#include "../image_file.h"
#include "../parallel.h"
#include "../utf8.h"
#include "mugato/core/error.h"
#include "mugato/core/text.h"
#include "mugato/data/run_cache.h"
#include "tar_samples.h"

namespace mugato::data {
namespace {

using nlohmann::json;

constexpr int64_t kBlockBytes = int64_t{4} << 20;
constexpr int64_t kMaxBlock = 1024;

// Where the caption of a sample stands: the member of an extension, or a field of that member.
struct CaptionPlace {
  std::string extension = "txt", field;

  explicit CaptionPlace(const std::string& text) {
    if (text.empty()) return;
    const size_t colon = text.find(':');
    extension = text.substr(0, colon);
    if (colon != std::string::npos) field = text.substr(colon + 1);
    if (extension.empty() || (extension == "json") == field.empty() || is_image_extension(extension))
      throw Error("text = \"" + text + "\" says no place of a caption", "the extension of a member (txt), or json:FIELD");
  }
};

// What is known of a shard after its headers were read once.
struct Shard {
  std::filesystem::path path;
  bool compressed = false;
  int64_t num_samples = 0, num_left_out = 0, num_bytes = 0;  // bytes: of the members that are read
  std::vector<int64_t> begins;                               // of every sample, where one can be read alone
};

class WebDataset : public Source {
 public:
  explicit WebDataset(const DataEntry& entry) : place_(entry.reading.text) {
    schema_.fields = {{.name = "image", .modality = Modality::kImage}, {.name = "caption", .role = Role::kAnswer}};
    for (auto& path : list_files(entry.reading.path)) shards_.push_back({.path = std::move(path)});
    parallel_for_each(shards_.size(), most_threads(), [&](size_t i) { scan(shards_[i]); });
    ReadingOrder runs;
    int64_t num_bytes = 0;
    for (const auto& shard : shards_) {
      runs.runs.push_back(shard.num_samples);
      num_bytes += shard.num_bytes;
      any_compressed_ |= shard.compressed;
    }
    const int64_t size = std::accumulate(runs.runs.begin(), runs.runs.end(), int64_t{0});
    if (size == 0) throw Error("'" + entry.reading.path + "' holds no samples", "a sample is KEY.jpg and KEY.txt in a tar");
    runs.block = std::clamp<int64_t>(kBlockBytes / std::max<int64_t>(num_bytes / size, 1), 1, kMaxBlock);
    cache_ = std::make_unique<RunCache<TarSample>>(std::move(runs), [this](int64_t run) {
      return [samples = open(shards_[static_cast<size_t>(run)], 0)] { return samples->next(); };
    });
  }

  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return cache_->size(); }
  ReadingOrder reading_order() const override { return any_compressed_ ? cache_->order() : ReadingOrder{}; }

  Episode get(int64_t index) const override {
    const auto sample = sample_at(index);
    const auto name = name_of(index, *sample);
    Episode episode{.num_steps = 1, .id = name};
    episode.fields = {{image_of(*sample, name).unsqueeze(0), {}}, {{}, {caption_of(*sample, name)}}};
    return episode;
  }

  RawEpisode raw(int64_t index) const override {
    auto raw = Source::raw(index);
    const auto sample = sample_at(index);
    raw.id = sample->key;
    raw.leaves[0].encoded = {sample->members.at(image_extension(*sample)).bytes};
    json attributes = {
        {"shard", shard_of(index).path.filename()}, {"key", sample->key}, {"image_ext", image_extension(*sample)}};
    if (sample->members.contains("json")) attributes["json"] = json_of(*sample, "json", name_of(index, *sample));
    raw.attributes = attributes.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);  // names are any bytes
    return raw;
  }

  std::string about() const override {
    int64_t num_left_out = 0;
    for (const auto& shard : shards_) num_left_out += shard.num_left_out;
    return json{{"shards", shards_.size()}, {"samples", size()}, {"members_left_out", num_left_out}}.dump();
  }

 private:
  bool is_wanted(const std::string& extension) const {
    return extension == place_.extension || extension == "json" || is_image_extension(extension);
  }

  std::shared_ptr<TarSamples> open(const Shard& shard, int64_t begin,
                                   TarSamples::Reading reading = TarSamples::Reading::kContents) const {
    const auto wanted = [this](const std::string& extension) { return is_wanted(extension); };
    return std::make_shared<TarSamples>(shard.path, reading, wanted, begin);
  }

  void scan(Shard& shard) const {
    auto samples = open(shard, 0, TarSamples::Reading::kHeaders);
    shard.compressed = samples->is_compressed();
    while (const auto sample = samples->next()) {
      check(*sample, shard);
      ++shard.num_samples;
      for (const auto& [extension, member] : sample->members)
        if (is_wanted(extension)) shard.num_bytes += member.size;
      if (!shard.compressed) shard.begins.push_back(sample->begin);
    }
    shard.num_left_out = samples->num_left_out();
  }

  void check(const TarSample& sample, const Shard& shard) const {
    const auto& members = sample.members;
    const auto is_image = [](const auto& member) { return is_image_extension(member.first); };
    const auto num_images = std::count_if(members.begin(), members.end(), is_image);
    const bool has_caption = members.contains(place_.extension);
    if (num_images == 1 && has_caption) return;
    throw Error("'" + shard.path.string() + "', sample '" + sample.key + "': it has " +
                    (num_images == 0  ? "no image"
                     : num_images > 1 ? "more than one image"
                                      : "no caption '." + place_.extension + "'") +
                    ", only ." + comma_separated(members, [](const auto& member) { return member.first; }),
                "every sample needs KEY.jpg (or png, webp, ...) and KEY." + place_.extension +
                    ", one after the other; text = \"EXTENSION\" or \"json:FIELD\" says where captions are");
  }

  std::shared_ptr<const TarSample> sample_at(int64_t index) const {
    const auto& shard = shard_of(index);
    if (shard.compressed) return cache_->get(index);
    const auto offset = static_cast<size_t>(index - cache_->begin_of(cache_->run_of(index)));
    auto sample = open(shard, shard.begins[offset])->next();
    if (!sample) throw Error("'" + shard.path.string() + "' was changed while it was read", "start again");
    return std::make_shared<TarSample>(std::move(*sample));
  }

  const Shard& shard_of(int64_t index) const {
    TORCH_CHECK(index >= 0 && index < size(), "index ", index, " of ", size());
    return shards_[static_cast<size_t>(cache_->run_of(index))];
  }

  std::string name_of(int64_t index, const TarSample& sample) const {
    return "'" + shard_of(index).path.string() + "', sample '" + sample.key + "'";
  }

  static std::string image_extension(const TarSample& sample) {
    const auto is_image = [](const auto& member) { return is_image_extension(member.first); };
    return std::find_if(sample.members.begin(), sample.members.end(), is_image)->first;
  }

  static at::Tensor image_of(const TarSample& sample, const std::string& name) {
    const auto extension = image_extension(sample);
    return decode_image(sample.members.at(extension).bytes, name + ", ." + extension);
  }

  std::string caption_of(const TarSample& sample, const std::string& name) const {
    const auto& bytes = sample.members.at(place_.extension).bytes;
    if (place_.field.empty()) {
      check_utf8(bytes, name + ", ." + place_.extension);
      return bytes;
    }
    const auto all = json_of(sample, place_.extension, name);
    const auto found = all.find(place_.field);
    if (found == all.end() || !found->is_string())
      throw Error(name + ": its JSON has no text '" + place_.field + "'",
                  "text = \"json:FIELD\" names a field of every sample");
    return *found;
  }

  static json json_of(const TarSample& sample, const std::string& extension, const std::string& name) {
    const auto& bytes = sample.members.at(extension).bytes;
    if (is_nested_too_deeply(bytes)) throw Error(name + ", ." + extension + ": it is nested too deeply", "write it again");
    auto all = json::parse(bytes, nullptr, /*allow_exceptions=*/false);
    if (!all.is_object()) throw Error(name + ", ." + extension + ": it is no JSON object", "write the sample again");
    return all;
  }

  CaptionPlace place_;
  Schema schema_;
  std::vector<Shard> shards_;
  bool any_compressed_ = false;
  std::unique_ptr<RunCache<TarSample>> cache_;  // the places of all samples, and what is read of compressed shards
};

}  // namespace

void add_webdataset(SourceRegistry& registry) {
  registry.add(
      "webdataset",
      [](const DataEntry& entry, Split) -> std::unique_ptr<Source> { return std::make_unique<WebDataset>(entry); },
      {"images with captions in tars (WebDataset, img2dataset): an observation 'image' and an answer 'caption' for every "
       "KEY.jpg (png, webp, bmp, ppm, tiff) with KEY.txt, or text = \"EXTENSION\" or \"json:FIELD\". path: a tar, .tar.gz "
       "or .tar.zst, data/{00000..00099}.tar, data/*.tar, or several separated by ::. Plain tars are read at random; of "
       "compressed ones each is read front to back once an epoch, and shuffled in blocks of about 4 MiB",
       {"path", "text", "held_out"}});
}

}  // namespace mugato::data

#else

namespace mugato::data {

void add_webdataset(SourceRegistry& registry) { add_missing(registry, "webdataset", "libarchive", "libarchive-dev"); }

}  // namespace mugato::data

#endif
