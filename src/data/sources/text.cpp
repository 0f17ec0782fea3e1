// Text documents: plain files, JSON lines, columns of Parquet.
#include <nlohmann/json.hpp>

#include "../file_list.h"
#include "formats.h"
#include "mugato/core/error.h"
#include "text_documents.h"
#if MUGATO_ARROW
#include "parquet_file.h"
#endif

namespace fs = std::filesystem;

namespace mugato::data {
namespace {

Schema text_schema() { return {.fields = {{.name = "text", .modality = Modality::kText, .role = Role::kText}}}; }

Episode document_episode(std::string text, std::string id) {
  Episode episode{.num_steps = 1, .id = std::move(id)};
  episode.fields.push_back({{}, {std::move(text)}});
  return episode;
}

class PlainTextSource : public Source {
 public:
  PlainTextSource(std::vector<fs::path> files, TextDocuments::Kind kind) : documents_(std::move(files), kind) {}
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return documents_.size(); }

  Episode get(int64_t index) const override {
    auto document = documents_.get(index);
    auto episode = document_episode(std::move(document.text), place(document));
    episode.starts = document.starts;
    episode.ends = document.ends;
    return episode;
  }

 protected:
  static std::string place(const TextDocuments::Document& document) {
    return document.file.string() + " byte " + std::to_string(document.begin);
  }
  const TextDocuments& documents() const { return documents_; }

 private:
  Schema schema_ = text_schema();
  TextDocuments documents_;
};

// An object a line; one of its fields is the text.
class JsonLinesSource : public PlainTextSource {
 public:
  JsonLinesSource(std::vector<fs::path> files, std::string field)
      : PlainTextSource(std::move(files), TextDocuments::Kind::kLine), field_(std::move(field)) {}

  Episode get(int64_t index) const override {
    const auto line = documents().get(index);
    const auto json = nlohmann::json::parse(line.text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object())
      throw Error(place(line) + ": the line is no JSON object", "every line is one, as {\"text\": \"...\"}");
    const auto found = json.find(field_);
    if (found == json.end() || !found->is_string())
      throw Error(place(line) + ": no text in the field '" + field_ + "'", "name the field that has it: text = \"...\"");
    return document_episode(found->get<std::string>(), place(line));
  }

 private:
  std::string field_;
};

#if MUGATO_ARROW
class ParquetTextSource : public Source {
 public:
  ParquetTextSource(const std::string& path, const std::string& column)
      : rows_(std::make_unique<ParquetRows>(path, std::vector<std::string>{column})) {
    rows_->require(column, ParquetColumn::Kind::kText, /*depth=*/0);
  }
  const Schema& schema() const override { return schema_; }
  int64_t size() const override { return rows_->size(); }
  ReadingOrder reading_order() const override { return rows_->reading_order(); }
  std::string about() const override { return rows_->about(); }
  Episode get(int64_t index) const override {
    return document_episode(rows_->get(index)->at(0).strings.at(0), rows_->name_of(index));
  }

 private:
  Schema schema_ = text_schema();
  std::unique_ptr<ParquetRows> rows_;
};
#endif

std::unique_ptr<Source> parquet_text(const std::string& path, const std::string& column) {
#if MUGATO_ARROW
  return std::make_unique<ParquetTextSource>(path, column);
#else
  throw Error(path + ": Parquet needs Arrow, and this mugato was built without it",
              "run tools/setup and build again: column " + column);
#endif
}

enum class Form { kPlain, kJsonLines, kParquet };

Form form_of(const fs::path& file) {
  const auto extension = file.extension().string();
  if (extension == ".parquet") return Form::kParquet;
  return extension == ".jsonl" || extension == ".ndjson" ? Form::kJsonLines : Form::kPlain;
}

// Those of a folder that have an extension of text, and of the folders in it.
std::vector<fs::path> files_of(const std::string& path) {
  if (!fs::is_directory(path)) return list_files(path);
  std::vector<fs::path> files;
  for (const auto& file : fs::recursive_directory_iterator(path))
    if (file.is_regular_file() && (file.path().extension() == ".txt" || form_of(file.path()) != Form::kPlain))
      files.push_back(file.path());
  if (files.empty())
    throw Error(path + ": no .txt, .jsonl or .parquet in the folder", "name the files: path = \"" + path + "/*.md\"");
  std::sort(files.begin(), files.end());
  return files;
}

void refuse(bool given, const std::string& key, const std::string& why) {
  if (given) throw Error("the key '" + key + "' means nothing here: " + why, "leave it out");
}

TextDocuments::Kind kind_of(const std::string& documents) {
  if (documents == "file") return TextDocuments::Kind::kFile;
  return documents == "line" ? TextDocuments::Kind::kLine : TextDocuments::Kind::kBlankLine;
}

std::unique_ptr<Source> open_text(const DataEntry& entry, Split) {
  const auto& options = entry.reading;
  if (options.path.empty()) throw Error("the data source 'text' needs the key 'path'", "path = \"corpus/*.txt\"");
  const bool is_url = options.path.find("://") != std::string::npos;
  const auto files = is_url ? std::vector<fs::path>{options.path} : files_of(options.path);
  const auto form = form_of(files.front());
  for (const auto& file : files)
    if (form_of(file) != form)
      throw Error(options.path + ": files of several kinds, " + files.front().string() + " and " + file.string(),
                  "make an entry of each kind");
  const std::string field = options.text.empty() ? "text" : options.text;
  if (form != Form::kPlain) refuse(options.documents != "file", "documents", "a line or a row is a document");
  if (form == Form::kParquet) return parquet_text(options.path, field);
  if (form == Form::kJsonLines) return std::make_unique<JsonLinesSource>(files, field);
  refuse(!options.text.empty(), "text", "plain text has no fields");
  return std::make_unique<PlainTextSource>(files, kind_of(options.documents));
}

}  // namespace

void add_text(SourceRegistry& registry) {
  registry.add(
      "text", open_text,
      {"text documents: plain files (.txt), a field of JSON lines (.jsonl), or a column of Parquet, also by URL; path is a "
       "file, a folder, or a pattern with * or {0..9}",
       {"path", "held_out", "text", "documents"}});
}

}  // namespace mugato::data
