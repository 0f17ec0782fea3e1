#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "image_text.h"
#include "message_of.h"
#include "temporary_folder.h"

namespace mugato::data {
namespace {

using mugato::testing::message_of;
using mugato::testing::TemporaryFolder;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A folder with images of the fixtures and one file beside them.
struct Folder {
  Folder(const std::string& captions_name, const std::string& captions) {
    make_folders(folder / "sub");
    for (const char* name : {"rgb.jpg", "grey.png", "alpha.webp"})
      std::filesystem::copy_file(kFixtures / "images" / name, folder / (name == std::string("rgb.jpg") ? "sub/rgb.jpg" : name));
    write_file_atomically(folder / captions_name, captions);
  }
  TemporaryFolder folder;
};

std::unique_ptr<Source> images(const Folder& made, const std::string& captions = "", const std::string& text = "") {
  return source_of(
      "images",
      {.path = made.folder.path(), .text = text, .captions = captions.empty() ? "" : (made.folder / captions).string()});
}

std::vector<std::string> captions_of(const Source& source) {
  std::vector<std::string> all;
  for (int64_t i = 0; i < source.size(); ++i)
    all.push_back(std::string(json::parse(source.raw(i).attributes)["file_name"]) + ": " + source.get(i).fields[1].text.at(0));
  return all;
}

TEST(ImagesSource, EveryFormOfCaptionsGivesTheSame) {
  const std::vector<std::string> expected{"sub/rgb.jpg: one, 1", "grey.png: two \"2\"", "sub/rgb.jpg: d\xc3\xa9j\xc3\xa0"};
  const std::vector<std::pair<std::string, std::string>> forms{
      {"metadata.jsonl", R"({"file_name": "sub/rgb.jpg", "text": "one, 1"}
{"file_name": "grey.png", "text": "two \"2\"", "more": [1]}

{"file_name": "sub/rgb.jpg", "text": "déjà"}
)"},
      {"metadata.csv", "text,file_name\n\"one, 1\",sub/rgb.jpg\n\"two \"\"2\"\"\",grey.png\ndéjà,sub/rgb.jpg\n"},
      {"captions.txt", "image,caption\nsub/rgb.jpg,\"one, 1\"\ngrey.png,two \"2\"\nsub/rgb.jpg,déjà\n"},
      {"captions.tsv", "image_name\tnumber\tcaption\nsub/rgb.jpg\t0\tone, 1\ngrey.png\t1\ttwo \"2\"\nsub/rgb.jpg\t2\tdéjà\n"},
      {"captions.json", R"({"info": {}, "annotations": [{"id": 9, "image_id": 5, "caption": "one, 1"},
 {"id": 8, "image_id": 7, "caption": "two \"2\""}, {"id": 7, "image_id": 5, "caption": "déjà"}],
 "images": [{"id": 7, "file_name": "grey.png"}, {"id": 5, "file_name": "sub/rgb.jpg"}, {"id": 6, "file_name": "alpha.webp"}]})"}};
  for (const auto& [name, text] : forms) {
    const Folder folder(name, text);
    const auto source = images(folder, name.starts_with("metadata") ? "" : name);
    EXPECT_EQ(captions_of(*source), expected) << name;
    EXPECT_EQ(json::parse(source->about()), json::parse(R"({"images": 2, "captions": 3})"));
  }
}

TEST(ImagesSource, PicturesAreThoseOfTheFilesAndGreyOnesAreKept) {
  const Folder folder("metadata.csv", "file_name,text\nsub/rgb.jpg,a\ngrey.png,b\nalpha.webp,c\n");
  const auto truth = json_of(kFixtures / "images" / "expected.json");
  const auto source = images(folder);
  const char* names[] = {"rgb.jpg", "grey.png", "alpha.webp"};
  for (int64_t i = 0; i < 3; ++i) {
    const auto image = leaf_of(source->raw(i), "image").values;
    EXPECT_EQ(image.sizes(), (std::vector<int64_t>{1, 26, 37, 3}));
    EXPECT_EQ(crc_of(image), truth[names[i]]["rgb_crc32"]);
  }
}

TEST(ImagesSource, OtherFieldsAndListsOfCaptions) {
  const Folder folder("c.jsonl", R"({"file_name": "grey.png", "text": "no", "captions": ["x", "y"]}
{"file_name": "alpha.webp", "captions": "z"})");
  EXPECT_THAT(captions_of(*images(folder, "c.jsonl", "captions")), ElementsAre("grey.png: x", "grey.png: y", "alpha.webp: z"));
  EXPECT_THAT(message_of([&] { images(folder, "c.jsonl", "title"); }), HasSubstr("c.jsonl', line 1: there is no text 'title'"));
}

TEST(ImagesSource, WhatIsMissingOrWrongIsNamed) {
  const auto refusal = [](const std::string& name, const std::string& text) {
    const Folder folder(name, text);
    return message_of([&] { images(folder, name); });
  };
  EXPECT_THAT(refusal("a.csv", "file_name,text\ngrey.png,a\nnone.png,b\nnot.png,c\n"), HasSubstr("of 3 images in '"));
  EXPECT_THAT(refusal("a.csv", "file_name,text\ngrey.png,a\nnone.png,b\nnot.png,c\n"),
              HasSubstr("2 are missing, the first of them 'none.png'"));
  EXPECT_THAT(refusal("a.csv", "file_name,text\n../x/grey.png,a\n"), HasSubstr("a.csv', line 2: the image '../x/grey.png'"));
  EXPECT_THAT(refusal("a.csv", "file,text\ngrey.png,a\n"),
              HasSubstr("has not one column of the name file_name, image, image_name, but 'file', 'text'"));
  EXPECT_THAT(refusal("a.csv", "image,text,caption\ngrey.png,a,b\n"),
              HasSubstr("has not one column of the name text, caption"));
  EXPECT_THAT(refusal("a.csv", "image,text\ngrey.png,caf\xe9\n"), HasSubstr("line 2: the text is not UTF-8 at byte 3"));
  EXPECT_THAT(refusal("a.csv", "image,text\n"), HasSubstr("holds no captions"));
  EXPECT_THAT(refusal("a.xml", ""), HasSubstr("has no extension of a file of captions"));
  EXPECT_THAT(refusal("a.json", R"({"images": [], "annotations": [{"image_id": 3, "caption": "x"}]})"),
              HasSubstr("annotations[0]: there is no image of the id 3"));
  EXPECT_THAT(refusal("a.json", R"({"images": [{"id": 3, "file_name": "a"}, {"id": 3, "file_name": "b"}]})"),
              HasSubstr("images[1]: there are two images of the id 3"));
  EXPECT_THAT(refusal("a.json", R"({"images": [{"id": 3, "file_name": "/etc/passwd"}]})"),
              HasSubstr("images[0]: the image '/etc"));
  EXPECT_THAT(refusal("a.jsonl", R"({"file_name": "grey.png", "text": [3]})"),
              HasSubstr("the list 'text' holds something else"));
  const Folder both("metadata.csv", "file_name,text\n");
  write_file_atomically(both.folder / "metadata.jsonl", "");
  EXPECT_THAT(message_of([&] { images(both); }), HasSubstr("has both a metadata.jsonl and a metadata.csv"));
  EXPECT_THAT(message_of([&] { images(Folder("x", "")); }),
              AllOf(HasSubstr("has no metadata.jsonl or"), HasSubstr("captions =")));
}

TEST(ImagesSource, AnImageThatCannotBeReadIsNamedWhenItIsDrawn) {
  const Folder folder("metadata.csv", "file_name,text\ngrey.png,a\nbad.jpg,b\n");
  write_file_atomically(folder.folder / "bad.jpg", read_file(kFixtures / "images" / "rgb.jpg").substr(0, 500));
  const auto source = images(folder);
  EXPECT_EQ(source->get(0).fields[1].text.at(0), "a");
  EXPECT_THAT(message_of([&] { source->get(1); }), HasSubstr("bad.jpg': the image cannot be read: "));
}

}  // namespace
}  // namespace mugato::data
