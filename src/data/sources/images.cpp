#include <nlohmann/json.hpp>

#include "../image_folder.h"
#include "captions.h"
#include "formats.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"

namespace mugato::data {
namespace {

using nlohmann::json;

// The file that is named, or that of Hugging Face's imagefolder.
std::filesystem::path captions_file(const DataEntry& entry) {
  if (!entry.reading.captions.empty()) return entry.reading.captions;
  const std::filesystem::path folder = entry.reading.path;
  std::vector<std::filesystem::path> found;
  for (const char* name : {"metadata.jsonl", "metadata.csv"})
    if (std::filesystem::exists(folder / name)) found.push_back(folder / name);
  if (found.size() != 1)
    throw Error("'" + folder.string() + "' has " + (found.empty() ? "no" : "both a") + " metadata.jsonl " +
                    (found.empty() ? "or" : "and a") + " metadata.csv",
                "captions = \"FILE\" names the file of the captions");
  return found[0];
}

// One episode for every caption.
class Images : public Source {
 public:
  explicit Images(const DataEntry& entry) : folder_(entry.reading.path), file_(captions_file(entry)) {
    schema_.fields = {{.name = "image", .modality = Modality::kImage}, {.name = "caption", .role = Role::kAnswer}};
    captions_ = read_captions(file_, entry.reading.text);
    if (captions_.image.empty()) throw Error("'" + file_.string() + "' holds no captions", "check the file");
    check_images(folder_, captions_.images);
  }

  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return static_cast<int64_t>(captions_.image.size()); }

  Episode get(int64_t index) const override {
    const auto& image = image_of(index);
    Episode episode{.num_steps = 1, .id = "'" + file_.string() + "', caption " + std::to_string(index) + " of " + image};
    episode.fields = {{read_image(folder_ / image), {}}, {{}, {std::string(captions_.texts[static_cast<size_t>(index)])}}};
    return episode;
  }

  std::vector<uint32_t> groups() const override { return captions_.image; }

  RawEpisode raw(int64_t index) const override {
    auto raw = Source::raw(index);
    raw.id = std::to_string(index);
    raw.leaves[0].encoded = {read_file(folder_ / image_of(index))};
    raw.attributes = json{{"file_name", image_of(index)}}.dump();
    return raw;
  }

  std::string about() const override { return json{{"images", captions_.images.size()}, {"captions", size()}}.dump(); }

 private:
  const std::string& image_of(int64_t index) const {
    TORCH_CHECK(index >= 0 && index < size(), "index ", index, " of ", size());
    return captions_.images[captions_.image[static_cast<size_t>(index)]];
  }

  std::filesystem::path folder_, file_;
  Schema schema_;
  Captions captions_;
};

}  // namespace

void add_images(SourceRegistry& registry) {
  registry.add("images",
               [](const DataEntry& entry, Split) -> std::unique_ptr<Source> { return std::make_unique<Images>(entry); },
               {"a folder of images with a file of captions: an observation 'image' and an answer 'caption' for every caption. "
                "path: the folder; captions: JSON lines, CSV or TSV with file_name (or image) and text (or caption), or COCO's "
                "captions JSON, by default the folder's metadata.jsonl or metadata.csv; text: another field or column",
                {"path", "captions", "text", "held_out"}});
}

}  // namespace mugato::data
