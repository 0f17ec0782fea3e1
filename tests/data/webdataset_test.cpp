#if MUGATO_ARCHIVE
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "archives.h"
#include "image_text.h"
#include "message_of.h"
#include "mugato/core/random.h"
#include "mugato/data/digest.h"
#include "mugato/data/order.h"
#include "nested.h"
#include "temporary_folder.h"

namespace mugato::data {
namespace {

using mugato::testing::message_of;
using mugato::testing::nested;
using mugato::testing::TemporaryFolder;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::filesystem::path kCaptions = kFixtures / "captions";

std::unique_ptr<Source> webdataset(const std::string& path, const std::string& text = "") {
  return source_of("webdataset", {.path = path, .text = text});
}

std::vector<std::string> digests_of(const Source& source) {
  std::vector<std::string> all;
  for (int64_t i = 0; i < source.size(); ++i) {
    auto raw = source.raw(i);
    auto attributes = json::parse(raw.attributes);
    attributes.erase("shard");
    raw.attributes = attributes.dump();
    all.push_back(digest(raw));
  }
  return all;
}

std::string picture() { return read_file(kFixtures / "images" / "rgb.png"); }

std::string sample(const std::string& key, const std::string& caption = "a text") {
  return tar_member(key + ".png", picture()) + tar_member(key + ".txt", caption);
}

// A folder with one shard of these bytes.
struct Shard {
  explicit Shard(const std::string& bytes) { write_file_atomically(file, bytes); }
  TemporaryFolder folder;
  std::filesystem::path file = folder / "s.tar";
  std::string refusal(const std::string& text = "") const {
    return message_of([&] { webdataset(file, text); });
  }
};

TEST(WebDataset, TheFixturesAreReadAsTheirWriterAndPillowReadThem) {
  const auto truth = json_of(kCaptions / "expected.json");
  const auto source = webdataset(kCaptions / "{00000..00001}.tar");
  ASSERT_EQ(source->size(), static_cast<int64_t>(truth.size()));
  EXPECT_EQ(json::parse(source->about()), json::parse(R"({"shards": 2, "samples": 16, "members_left_out": 0})"));
  EXPECT_TRUE(source->reading_order().runs.empty()) << "plain tars are read at random";
  for (int64_t i = 0; i < source->size(); ++i) {
    const auto& expected = truth[static_cast<size_t>(i)];
    const auto raw = source->raw(i);
    const auto attributes = json::parse(raw.attributes);
    for (const char* field : {"shard", "key", "image_ext", "json"}) EXPECT_EQ(attributes[field], expected[field]) << i;
    EXPECT_EQ(id_of(raw), expected["key"]);
    const auto& image = leaf_of(raw, "image").values;
    const auto& size = expected["image"]["size"];
    EXPECT_EQ(image.sizes(), (std::vector<int64_t>{1, size[1], size[0], 3}));
    EXPECT_EQ(crc_of(image), expected["image"]["rgb_crc32"]) << i;
    EXPECT_EQ(leaf_of(raw, "caption").text, std::vector<std::string>{expected["caption"]});
    const auto episode = source->get(i);
    EXPECT_TRUE(episode.fields[0].values.equal(image));
    EXPECT_THAT(episode.id, HasSubstr(std::string(expected["shard"]) + "', sample '" + std::string(expected["key"])));
  }
}

TEST(WebDataset, TheSchemaIsAnImageAndTheTextThatAnswersIt) {
  const auto source = webdataset(kCaptions / "*.tar");
  const auto& fields = source->schema().fields;
  ASSERT_EQ(fields.size(), 2U);
  EXPECT_TRUE(fields[0].modality == Modality::kImage && fields[0].role == Role::kObservation && fields[0].shape.empty());
  EXPECT_TRUE(fields[1].modality == Modality::kText && fields[1].role == Role::kAnswer);
}

TEST(WebDataset, CompressedShardsGiveTheSame) {
  const auto plain = digests_of(*webdataset(kCaptions / "{00000..00001}.tar"));
  for (const auto& [ending, add_filter] :
       std::vector<std::pair<std::string, int (*)(archive*)>>{{".tar.gz", archive_write_add_filter_gzip},
                                                              {".tar.zst", archive_write_add_filter_zstd},
                                                              {".tar.bz2", archive_write_add_filter_bzip2},
                                                              {".tar.xz", archive_write_add_filter_xz}}) {
    const TemporaryFolder folder;
    for (const char* name : {"00000", "00001"})
      write_compressed(folder / (name + ending), read_file(kCaptions / (std::string(name) + ".tar")), add_filter);
    const auto source = webdataset(folder / ("0000{0,1}" + ending));
    EXPECT_EQ(source->reading_order().runs, (std::vector<int64_t>{8, 8}));
    EXPECT_EQ(digests_of(*source), plain) << ending;
    const auto mixed = webdataset((kCaptions / "00000.tar").string() + "::" + (folder / ("00001" + ending)).string());
    EXPECT_EQ(mixed->reading_order().runs, (std::vector<int64_t>{8, 8}));
    EXPECT_EQ(digests_of(*mixed), plain) << ending;
  }
}

// N11 of peers.md: elsewhere only the last of several folders was read, and grey images were left out.
TEST(WebDataset, EveryFolderIsReadAndGreyImagesAreKept) {
  const TemporaryFolder folder;
  const auto grey = read_file(kFixtures / "images" / "grey.jpg");
  for (const char* name : {"a", "b", "c"}) {
    make_folders(folder / name);
    write_file_atomically(folder / name / "0.tar",
                          tar_member("1.jpg", grey) + tar_member("1.txt", name) + sample("2", name) + kTarEnd);
  }
  const auto source = webdataset((folder / "{a,b}/*.tar::").string() + (folder / "c/0.tar").string());
  ASSERT_EQ(source->size(), 6);
  for (int64_t i = 0; i < 6; ++i) {
    const auto episode = source->get(i);
    EXPECT_EQ(episode.fields[1].text[0], std::string(1, static_cast<char>('a' + i / 2)));
    EXPECT_EQ(episode.fields[0].values.size(3), 3);
  }
}

TEST(WebDataset, KeysAndExtensionsFollowTheRulesOfWebDataset) {
  const auto image = picture();
  const Shard shard(tar_member("__index__", "x") + tar_member("__meta__/1.png", "x") + tar_member("dir.d/", "", '5') +
                    tar_member("dir.d/k.PNG", image) + tar_member("dir.d/k.Txt", "one") + tar_member("dir.d/k.cls", "7") +
                    tar_member("./k.png", image) + tar_member("./k.seg.png", "no image") + tar_member("./.hidden.png", "x") +
                    tar_member("noextension", "x") + tar_member("./k.txt", "two") + tar_member("link.png", "", '2') +
                    tar_member("hard.png", "", '1') + tar_member("k.txt", "three") + tar_member("k.png", image) + kTarEnd);
  const auto source = webdataset(shard.file);
  ASSERT_EQ(source->size(), 3);
  EXPECT_EQ(json::parse(source->about())["members_left_out"], 7);
  const char* keys[] = {"dir.d/k", "./k", "k"};
  const char* captions[] = {"one", "two", "three"};
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(id_of(source->raw(i)), keys[i]);
    EXPECT_EQ(source->get(i).fields[1].text[0], captions[i]);
  }
}

TEST(WebDataset, LongNamesOfPaxAndGnuAreWhole) {
  const std::string key = std::string(150, 'd') + "/h\xc3\xa9llo-\xe9\x83\xa8\xe5\xb1\x8b";
  const auto pax = [&](const std::string& extension, const std::string& bytes) {
    const std::string record = " path=" + key + extension + "\n";
    const auto length = std::to_string(record.size() + 3);
    return tar_member("PaxHeader", length + record, 'x') + tar_member("short", bytes);
  };
  const auto gnu = [&](const std::string& extension, const std::string& bytes) {
    return tar_member("././@LongLink", key + extension + std::string(1, '\0'), 'L') + tar_member("short", bytes);
  };
  const Shard shard(pax(".png", picture()) + pax(".txt", "pax") + sample("between") + gnu(".png", picture()) +
                    gnu(".txt", "gnu") + kTarEnd);
  const auto source = webdataset(shard.file);
  ASSERT_EQ(source->size(), 3);
  EXPECT_EQ(id_of(source->raw(0)), key);
  EXPECT_EQ(source->get(0).fields[1].text[0], "pax");
  EXPECT_EQ(id_of(source->raw(2)), key);
  EXPECT_EQ(source->get(2).fields[1].text[0], "gnu");
}

TEST(WebDataset, CaptionsOfOtherPlaces) {
  const auto truth = json_of(kCaptions / "expected.json");
  const auto missions = webdataset(kCaptions / "00000.tar", "json:mission");
  for (int64_t i = 0; i < missions->size(); ++i)
    EXPECT_EQ(missions->get(i).fields[1].text[0], truth[static_cast<size_t>(i)]["json"]["mission"]);
  EXPECT_THAT(message_of([] { webdataset(kCaptions / "00000.tar", "json:width")->get(0); }),
              HasSubstr("sample '000000000': its JSON has no text 'width'"));
  const Shard shard(tar_member("k.jpg", picture()) + tar_member("k.caption", "x") + kTarEnd);
  EXPECT_EQ(webdataset(shard.file, "caption")->get(0).fields[1].text[0], "x");
  const Shard deep(sample("a") + tar_member("a.json", "{\"x\": " + nested(100'000) + "}") + kTarEnd);
  EXPECT_THAT(message_of([&] { webdataset(deep.file)->raw(0); }), HasSubstr("sample 'a', .json: it is nested too deeply"));
  for (const char* place : {"json", ":x", "txt:field", "png"})
    EXPECT_THAT(shard.refusal(place), HasSubstr("no place of a caption"));
}

TEST(WebDataset, SamplesThatLackSomethingAreNamed) {
  EXPECT_THAT(Shard(sample("a") + tar_member("b.png", picture()) + kTarEnd).refusal(),
              AllOf(HasSubstr("s.tar', sample 'b': it has no caption '.txt', only .png"), HasSubstr("hint:")));
  EXPECT_THAT(Shard(tar_member("b.txt", "x") + kTarEnd).refusal(), HasSubstr("sample 'b': it has no image"));
  EXPECT_THAT(Shard(sample("a") + tar_member("a.jpg", "x") + kTarEnd).refusal(), HasSubstr("more than one image"));
  EXPECT_THAT(Shard(sample("a") + tar_member("a.TXT", "x") + kTarEnd).refusal(),
              HasSubstr("member 'a.TXT', byte 2048: the sample 'a' has a member 'txt' already"));
  EXPECT_THAT(Shard(kTarEnd).refusal(), HasSubstr("holds no samples"));
  const Shard latin(sample("a", "caf\xe9") + kTarEnd);
  EXPECT_THAT(message_of([&] { webdataset(latin.file)->get(0); }),
              HasSubstr("sample 'a', .txt: the text is not UTF-8 at byte 3"));
  const Shard named(sample("caf\xe9") + kTarEnd);
  EXPECT_EQ(id_of(webdataset(named.file)->raw(0)), "caf\xe9");
  const Shard broken(sample("a") + tar_member("b.jpg", "not an image") + tar_member("b.txt", "x") + kTarEnd);
  EXPECT_EQ(webdataset(broken.file)->get(0).num_steps, 1);
  EXPECT_THAT(message_of([&] { webdataset(broken.file)->get(1); }),
              HasSubstr("s.tar', sample 'b', .jpg: the image cannot be read: it is no JPEG"));
}

TEST(WebDataset, NamesThatLeaveTheFolderAreRefused) {
  for (const char* name : {"/etc/a.png", "../a.png", "x/../../a.png", "x/.."})
    EXPECT_THAT(Shard(sample("a") + tar_member(name, "x") + kTarEnd).refusal(),
                HasSubstr("member '" + std::string(name) + "', byte 2048: it would leave its folder"));
  EXPECT_EQ(webdataset(Shard(sample("a..b/c") + kTarEnd).file)->size(), 1);
}

TEST(WebDataset, TarsThatAreCutAreRefusedWhereverTheyAre) {
  const auto whole = sample("a") + sample("b") + sample("c") + kTarEnd;
  EXPECT_EQ(webdataset(Shard(whole).file)->size(), 3);
  for (size_t length = 0; length <= whole.size() - kTarEnd.size(); length += 256) {
    const Shard shard(whole.substr(0, length));
    EXPECT_THAT(shard.refusal(), AllOf(HasSubstr("s.tar', "), HasSubstr("byte "))) << length;
  }
  EXPECT_THAT(Shard(whole.substr(0, 2 * 2048)).refusal(),
              HasSubstr("byte 4096: the shard ends without the two blocks of zeros"));
  EXPECT_THAT(Shard(whole.substr(0, 2048 + 600)).refusal(),
              HasSubstr("after member 'b.png', byte 2648: the tar is cut or damaged"));
  const TemporaryFolder folder;
  const auto file = folder / "s.tar.gz";
  write_compressed(file, whole, archive_write_add_filter_gzip);
  const auto compressed = read_file(file);
  for (size_t length = 0; length < compressed.size(); length += 7) {
    write_file_atomically(file, compressed.substr(0, length));
    EXPECT_THAT(message_of([&] { webdataset(file); }), HasSubstr("s.tar.gz'")) << length;
  }
}

TEST(WebDataset, WhatIsNoTarOrIsDamagedIsRefused) {
  EXPECT_THAT(Shard("<html>not found</html>").refusal(), HasSubstr("s.tar', byte 0: it is no tar"));
  EXPECT_THAT(Shard("").refusal(), HasSubstr("it is no tar"));
  auto damaged = sample("a") + sample("b") + kTarEnd;
  damaged.replace(2048 + 10, 20, "XXXXXXXXXXXXXXXXXXXX");
  EXPECT_THAT(Shard(damaged).refusal(), HasSubstr("after member 'a.txt', byte 2048: the tar is cut or damaged"));
  EXPECT_THAT(Shard(tar_header("a.png", size_t{1} << 31) + std::string(4096, 'x')).refusal(),
              HasSubstr("member 'a.png', byte 0: it claims to have 2147483648 bytes"));
  EXPECT_EQ(webdataset(Shard(tar_member("a.npy", std::string(9000, 'x')) + sample("a") + kTarEnd).file)->size(), 1);
}

TEST(WebDataset, AShardThatChangesAfterItWasOpenedIsNoticed) {
  const Shard shard(sample("a") + sample("b") + kTarEnd);
  const auto source = webdataset(shard.file);
  write_file_atomically(shard.file, sample("a") + kTarEnd);
  EXPECT_THAT(message_of([&] { source->get(1); }), HasSubstr("s.tar'"));
}

// Bytes that this process has read.
int64_t num_bytes_read() {
  const auto text = [] {
    std::ifstream stream("/proc/self/io");
    return std::string(std::istreambuf_iterator<char>(stream), {});
  }();
  return std::stoll(text.substr(text.find("rchar: ") + 7));
}

// Shards of pictures of noise, several blocks each.
void write_noise(const TemporaryFolder& folder, int64_t num_shards, int64_t num_samples) {
  Random random(3);
  for (int64_t shard = 0; shard < num_shards; ++shard) {
    std::string bytes;
    for (int64_t i = 0; i < num_samples; ++i) {
      std::string ppm = "P6\n256 256\n255\n";
      while (ppm.size() < 15 + 256 * 256 * 3) ppm += static_cast<char>(random.below(256));
      bytes +=
          tar_member(std::to_string(i) + ".ppm", ppm) + tar_member(std::to_string(i) + ".txt", std::to_string(100 * shard + i));
    }
    write_compressed(folder / (std::to_string(shard) + ".tar.zst"), bytes + kTarEnd, archive_write_add_filter_zstd);
  }
}

TEST(WebDataset, AnEpochReadsEachCompressedShardOnce) {
  constexpr int64_t kShards = 3, kSamples = 50;
  const TemporaryFolder folder;
  write_noise(folder, kShards, kSamples);
  const auto source = webdataset(folder / "*.tar.zst");
  const auto reading = source->reading_order();
  EXPECT_EQ(reading.runs, std::vector<int64_t>(kShards, kSamples));
  EXPECT_EQ(reading.block, (int64_t{4} << 20) / (256 * 256 * 3 + 15 + 2)) << "blocks of about 4 MiB";
  int64_t size = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder.path())) size += static_cast<int64_t>(file.file_size());
  const EpisodeOrder order(source->size(), reading, 11, 0);
  const int64_t before = num_bytes_read();
  std::vector<bool> seen(static_cast<size_t>(100 * kShards));
  for (int64_t count = 0; count < source->size(); ++count)
    seen[std::stoul(source->get(order.index(count)).fields[1].text[0])] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), kShards * kSamples);
  EXPECT_LT(num_bytes_read() - before, size + size / 20);
}

TEST(WebDataset, ThreadsReadTheSameInAnyOrder) {
  const TemporaryFolder folder;
  for (const char* name : {"00000", "00001"})
    write_compressed(folder / (std::string(name) + ".tar.gz"), read_file(kCaptions / (std::string(name) + ".tar")),
                     archive_write_add_filter_gzip);
  for (const auto& path : {kCaptions / "*.tar", folder / "*.tar.gz"}) {
    const auto source = webdataset(path);
    const auto expected = digests_of(*webdataset(kCaptions / "*.tar"));
    std::atomic<int> wrong{0};
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t) threads.emplace_back([&] { wrong += digests_of(*source) != expected; });
    threads.clear();
    EXPECT_EQ(wrong, 0);
  }
}

}  // namespace
}  // namespace mugato::data
#endif
