#include "captions.h"

#include <algorithm>
#include <unordered_map>

#include "../csv.h"
#include "../image_folder.h"
#include "../json_records.h"
#include "../utf8.h"
#include "mugato/core/error.h"
#include "mugato/core/text.h"

namespace mugato::data {
namespace {

void add(Captions& captions, const std::string& image, std::string_view text, const std::string& place) {
  check_image_name(image, place);
  check_utf8(image, place);
  captions.image.push_back(captions.images.number(image));
  captions.texts.add(text);
}

Captions read_lines(const std::filesystem::path& file, const std::string& text) {
  Captions captions;
  read_json_lines(file, [&](const JsonRecord& line) {
    const auto image = line.text("file_name");
    const auto found = line.fields.find(text);
    if (found == line.fields.end() || !found->is_array()) return add(captions, image, line.text(text), line.name());
    for (const auto& one : *found) {
      if (!one.is_string()) line.refuse("the list '" + text + "' holds something else than texts");
      add(captions, image, one.get_ref<const std::string&>(), line.name());
    }
  });
  return captions;
}

Captions read_coco(const std::filesystem::path& file, const std::string& text) {
  std::unordered_map<int64_t, std::string> names;
  std::vector<int64_t> image_ids;
  Captions captions;
  read_json_records(file, [&](const JsonRecord& record) {
    if (record.list == "images") {
      const int64_t id = record.integer("id");
      const auto name = record.text("file_name");
      check_image_name(name, record.name());
      if (!names.emplace(id, name).second) record.refuse("there are two images of the id " + std::to_string(id));
    } else if (record.list == "annotations") {
      image_ids.push_back(record.integer("image_id"));
      captions.texts.add(record.text(text));
    }
  });
  for (size_t i = 0; i < image_ids.size(); ++i) {
    const auto found = names.find(image_ids[i]);
    if (found == names.end())
      throw Error("'" + file.string() + "', annotations[" + std::to_string(i) + "]: there is no image of the id " +
                      std::to_string(image_ids[i]),
                  "images and annotations have to be of one file of COCO captions");
    captions.image.push_back(captions.images.number(found->second));
  }
  return captions;
}

// The number of the one column that has one of these names.
size_t column(const CsvReader& table, const std::vector<std::string>& names, const std::filesystem::path& file) {
  const auto& columns = table.columns();
  const auto is_named = [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if (std::count_if(columns.begin(), columns.end(), is_named) != 1)
    throw Error("'" + file.string() + "' has not one column of the name " + comma_separated(names) + ", but " +
                    comma_separated(columns, [](const std::string& name) { return "'" + name + "'"; }),
                "the first line names the columns, as in: file_name,text; the key text names that of the captions");
  return static_cast<size_t>(std::find_if(columns.begin(), columns.end(), is_named) - columns.begin());
}

Captions read_table(const std::filesystem::path& file, const std::string& text) {
  CsvReader table(file);
  const size_t image = column(table, {"file_name", "image", "image_name"}, file);
  const size_t caption = column(table, text.empty() ? std::vector<std::string>{"text", "caption"} : std::vector{text}, file);
  Captions captions;
  while (const auto row = table.next()) {
    const auto place = "'" + file.string() + "', line " + std::to_string(table.line());
    check_utf8((*row)[caption], place);
    add(captions, (*row)[image], (*row)[caption], place);
  }
  return captions;
}

}  // namespace

Captions read_captions(const std::filesystem::path& file, const std::string& text) {
  const auto extension = file.extension();
  if (extension == ".jsonl") return read_lines(file, text.empty() ? "text" : text);
  if (extension == ".json") return read_coco(file, text.empty() ? "caption" : text);
  if (extension == ".csv" || extension == ".tsv" || extension == ".txt") return read_table(file, text);
  throw Error("'" + file.string() + "' has no extension of a file of captions",
              "it is .jsonl, .json (COCO), .csv, .tsv or .txt");
}

}  // namespace mugato::data
