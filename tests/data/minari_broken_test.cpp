#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "message_of.h"
#include "minari_editing.h"
#include "mugato/core/files.h"
#include "mugato/core/random.h"
#include "mugato/data/digest.h"

namespace mugato::data {
namespace {

using mugato::testing::message_of;
using nlohmann::json;
using ::testing::AllOf;
using testing::EditedSet;
using ::testing::HasSubstr;
using testing::open_minari;

constexpr const char* kGrid = "babyai/gotolocal/bot-v0";
constexpr const char* kPictures = "babyai/gotolocal-rgb/bot-v0";

// What opening and reading an episode say, on standard error nothing.
std::string message_of_reading(const EditedSet& set, int64_t episode) {
  ::testing::internal::CaptureStderr();
  const auto message = message_of([&] { open_minari(set.path())->get(episode); });
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  return message;
}

// Observations of an episode: a row more than timesteps.
hsize_t num_observations(const EditedSet& set, int64_t episode) {
  return static_cast<hsize_t>(open_minari(set.path())->raw(episode).num_steps + 1);
}

TEST(MinariBroken, AFileThatIsCutAnywhereIsAnError) {
  const EditedSet set(kGrid);
  const auto bytes = read_file(set.file());
  Random random(1);
  std::vector<int64_t> lengths{0, 1, 8, 512, static_cast<int64_t>(bytes.size()) - 1};
  for (int i = 0; i < 20; ++i) lengths.push_back(random.below(static_cast<int64_t>(bytes.size())));
  for (const int64_t length : lengths) {
    testing::write_text(set.file(), bytes.substr(0, static_cast<size_t>(length)));
    EXPECT_THAT(message_of_reading(set, 0), AllOf(HasSubstr("main_data.hdf5' cannot be opened as HDF5: "), HasSubstr("hint: ")))
        << length;
  }
  testing::write_text(set.file(), bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(message_of_reading(set, 0), HasSubstr("truncated file"));
  testing::write_text(set.file(), std::string(5000, 'x'));
  EXPECT_THAT(message_of_reading(set, 0), HasSubstr("signature"));
  std::filesystem::remove(set.file());
  EXPECT_THAT(message_of_reading(set, 0), HasSubstr("there is no file"));
}

TEST(MinariBroken, EpisodesThatAreMissingAreNamed) {
  const EditedSet hole(kGrid);
  hole.remove("episode_3");
  EXPECT_THAT(message_of_reading(hole, 0), HasSubstr("main_data.hdf5' has no episode_3, but has episode_4"));
  const EditedSet end(kGrid);
  end.remove("episode_7");
  EXPECT_THAT(message_of_reading(end, 0), HasSubstr("says that there are 8 episodes, and there are 7"));
  const EditedSet none(kGrid);
  for (int i = 0; i < 8; ++i) none.remove("episode_" + std::to_string(i));
  EXPECT_THAT(message_of_reading(none, 0), HasSubstr("has no episodes"));
}

TEST(MinariBroken, LengthsThatDisagreeAreAnErrorOfEpisodeAndLeaf) {
  const EditedSet set(kGrid);
  set.set_attribute("episode_2", "total_steps", 99);
  EXPECT_THAT(message_of_reading(set, 2), AllOf(HasSubstr("episode 2: 'observations/direction' has "),
                                                HasSubstr(" rows, not 100"), HasSubstr("total_steps is 99")));
  EXPECT_GT(open_minari(set.path())->get(1).num_steps, 0);
  const int64_t actions[] = {1, 2, 3, 4, 5, 6, 7};
  set.replace("episode_1/actions", H5T_NATIVE_INT64, {7}, actions);
  EXPECT_THAT(message_of_reading(set, 1), HasSubstr("episode 1: 'actions' has 7 rows, not 2"));
  set.set_attribute("episode_4", "total_steps", 0);
  EXPECT_THAT(message_of_reading(set, 0), HasSubstr("episode 4: its attribute 'total_steps' is 0"));
}

TEST(MinariBroken, ClaimedSizesAllocateNothing) {
  const EditedSet set(kGrid);
  constexpr int64_t kHuge = int64_t{1} << 50;
  set.set_attribute("episode_0", "total_steps", kHuge - 1);
  set.replace("episode_0/observations/direction", H5T_NATIVE_INT64, {kHuge}, nullptr);
  EXPECT_THAT(message_of_reading(set, 0),
              HasSubstr("episode 0: 'observations/direction' claims more values than its part of the file can hold"));
  set.replace("episode_1/observations/image", H5T_NATIVE_UINT8, {3, 7, 7, hsize_t{1} << 61}, nullptr);
  EXPECT_THAT(message_of_reading(set, 1), HasSubstr("episode 1: 'observations/image' claims more values"));
}

TEST(MinariBroken, LeavesThatAreNotThoseOfTheSpace) {
  const EditedSet set(kGrid);
  const std::vector<uint8_t> pixels(3 * 7 * 7 * 4);
  set.replace("episode_0/observations/image", H5T_NATIVE_UINT8, {3, 7, 7, 4}, pixels.data());
  EXPECT_THAT(message_of_reading(set, 0),
              HasSubstr("episode 0: 'observations/image' has values of shape (7,7,4) at a timestep"));
  set.remove("episode_1/observations/mission");
  EXPECT_THAT(message_of_reading(set, 1),
              AllOf(HasSubstr("episode 1: 'observations/mission' cannot be read"), HasSubstr("mission")));
  set.replace("episode_2/observations/mission", H5T_NATIVE_UINT8, {num_observations(set, 2)}, pixels.data());
  EXPECT_THAT(message_of_reading(set, 2), HasSubstr("episode 2: 'observations/mission' is not text"));
  const std::vector<double> halves(100, 0.5);
  set.replace("episode_3/observations/direction", H5T_NATIVE_DOUBLE, {num_observations(set, 3)}, halves.data());
  EXPECT_THAT(message_of_reading(set, 3),
              HasSubstr("episode 3: 'observations/direction' has values that are not whole numbers"));
}

TEST(MinariBroken, NothingIsReadFromOtherFiles) {
  const EditedSet other(kGrid), set(kGrid);
  const auto edit = [&](const std::string& removed, const std::function<void(hid_t)>& change) {
    set.remove(removed);
    const hid_t file = H5Fopen(set.file().c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    change(file);
    H5Fclose(file);
  };
  const auto link = [&](hid_t file, const char* name) {
    EXPECT_GE(H5Lcreate_external(other.file().c_str(), name, file, name, H5P_DEFAULT, H5P_DEFAULT), 0);
  };
  edit("episode_0/actions", [&](hid_t file) { link(file, "episode_0/actions"); });
  EXPECT_THAT(message_of_reading(set, 0), HasSubstr("episode 0: 'actions' cannot be read: "));
  edit("episode_1/rewards", [&](hid_t file) {
    const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(layout, other.metadata().c_str(), 0, 16);
    const hsize_t rows = static_cast<hsize_t>(num_observations(other, 1) - 1);
    const hid_t space = H5Screate_simple(1, &rows, nullptr);
    H5Dclose(H5Dcreate2(file, "episode_1/rewards", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, layout, H5P_DEFAULT));
    H5Sclose(space);
    H5Pclose(layout);
  });
  EXPECT_THAT(message_of_reading(set, 1), HasSubstr("episode 1: 'rewards' has its values in another file"));
  edit("episode_2", [&](hid_t file) { link(file, "episode_2"); });
  EXPECT_THAT(message_of_reading(set, 3), HasSubstr("episode 2: its attribute 'total_steps' cannot be read: "));
}

TEST(MinariBroken, RowsThatTheHeapDoesNotHold) {
  const EditedSet set(kPictures);
  const auto bytes = read_file(set.file());
  const auto source = open_minari(set.path());
  source->get(0);  // it knows now where the rows are
  size_t num_changed = 0;
  const std::string header("GCOL\1\0\0\0", 8);
  // Of more than the file has the library says so; lengths that it cannot add to, it would allocate.
  for (const auto& [what, instead] :
       {std::pair{header, "GCOX" + header.substr(4)}, {header, header + std::string("\1\0\0\0\0\1", 6)}}) {
    auto changed = bytes;
    for (size_t at = changed.find(what); at != std::string::npos; at = changed.find(what, at + 1), ++num_changed)
      changed.replace(at, instead.size(), instead);
    testing::write_text(set.file(), changed);
    EXPECT_THAT(message_of_reading(set, 0), AllOf(HasSubstr("main_data.hdf5 episode 0: 'observations/"), HasSubstr("hint: ")));
    testing::write_text(set.file(), bytes);
    EXPECT_EQ(digest(source->raw(0)), digest(open_minari(set.path())->raw(0)));
  }
  EXPECT_GE(num_changed, 2);
}

TEST(MinariBroken, PicturesThatAreNoJpegOfTheirSize) {
  const EditedSet set(kPictures);
  const std::string name = "episode_1/observations/image";
  const auto good = set.rows(name);
  const auto with_second = [&](const std::string& bytes) {
    auto rows = good;
    rows[1] = bytes;
    set.replace_by_rows(name, rows);
    return message_of_reading(set, 1);
  };
  const std::string where = "episode 1: 'observations/image' at timestep 1 ";
  EXPECT_THAT(with_second("not a picture"), HasSubstr(where + "is no JPEG"));
  EXPECT_THAT(with_second(""), HasSubstr(where + "is no JPEG"));
  EXPECT_THAT(with_second("\xFF\xD8"), HasSubstr(where + "is no JPEG"));
  for (size_t length = 3; length < 300; length += 7)
    EXPECT_THAT(with_second(good[1].substr(0, length)), HasSubstr("episode 1: 'observations/image' at timestep 1")) << length;
  Random random(5);
  std::string noise = good[1].substr(0, 2);
  for (int i = 0; i < 1000; ++i) noise += static_cast<char>(random.below(256));
  EXPECT_THAT(with_second(noise), HasSubstr("episode 1: 'observations/image' at timestep 1"));
  auto large = good[1];
  const size_t frame = large.find("\xFF\xC0");
  ASSERT_NE(frame, std::string::npos);
  large.replace(frame + 5, 4, "\xFF\xFF\xFF\xFE");
  EXPECT_THAT(with_second(large), HasSubstr(where + "is a JPEG of 65535x65534 with 3 channels, its space says 56x56 with 3"));
  set.replace_by_rows(name, std::vector<std::string>(good.size(), "no picture"));
  EXPECT_THAT(message_of_reading(set, 1), HasSubstr("episode 1: 'observations/image' holds neither numbers nor JPEGs"));
}

TEST(MinariBroken, MetadataThatIsNotMinaris) {
  const EditedSet set(kGrid);
  const auto text = read_file(set.metadata());
  const auto message_with = [&](const std::function<void(json&)>& change) {
    testing::write_text(set.metadata(), text);
    set.change_metadata(change);
    return message_of_reading(set, 0);
  };
  testing::write_text(set.metadata(), text.substr(0, text.size() / 2));
  EXPECT_THAT(message_of_reading(set, 0), HasSubstr("data/metadata.json' is no JSON"));
  testing::write_text(set.metadata(), "[]");
  EXPECT_THAT(message_of_reading(set, 0), HasSubstr("data/metadata.json' is no JSON object"));
  EXPECT_THAT(message_with([](json& all) { all.erase("action_space"); }), HasSubstr("metadata.json' has no 'action_space'"));
  EXPECT_THAT(message_with([](json& all) { all["observation_space"] = 5; }), HasSubstr("has no 'observation_space'"));
  EXPECT_THAT(
      message_with([](json& all) { all["observation_space"] = R"({"type": "Dict", "subspaces": {"g": {"type": "Graph"}}})"; }),
      HasSubstr("metadata.json': its observation_space, field 'g' is a space of the type 'Graph'"));
  EXPECT_THAT(message_with([](json& all) { all["data_format"] = "zarr"; }), HasSubstr("the data_format is 'zarr'"));
  EXPECT_THAT(message_with([](json& all) { all["total_episodes"] = "eight"; }), HasSubstr("has no 'total_episodes'"));
  std::filesystem::remove(set.metadata());  // and the file has no attributes in its place
  EXPECT_THAT(message_of_reading(set, 0), HasSubstr("has no 'total_episodes'"));
}

TEST(MinariBroken, ArrowThatIsCutOrLacksAColumn) {
  for (const std::string format : {"arrow", "parquet"}) {
    const mugato::testing::TemporaryFolder folder;
    std::filesystem::copy(std::filesystem::path(MUGATO_FIXTURES) / "minari_arrow" / (format + "-mixed-v0"), folder.path(),
                          std::filesystem::copy_options::recursive);
    const auto part = folder / ("data/1/part-0." + format);
    const auto bytes = read_file(part);
    const auto message = [&] { return message_of([&] { open_minari(folder.path())->get(1); }); };
    for (size_t length = 0; length < bytes.size(); length += 97) {
      testing::write_text(part, bytes.substr(0, length));
      EXPECT_THAT(message(), AllOf(HasSubstr("data/1/part-0." + format), HasSubstr("hint: "))) << length;
    }
    testing::write_text(part, read_file(folder / ("data/2/part-0." + format)));
    EXPECT_THAT(message(), HasSubstr("has 7 rows, not 2"));
    std::filesystem::remove(part);
    EXPECT_THAT(message(), HasSubstr("data/1' has 0 files ." + format));
    testing::write_text(folder / "data/1/metadata.json", "{\"id\": 1}");
    EXPECT_THAT(message(), HasSubstr("data/1/metadata.json has no 'total_steps'"));
    std::filesystem::remove_all(folder / "data/1");
    EXPECT_THAT(message(), HasSubstr("data' has no 1, but has 2"));
  }
  // The columns of another data set under this one's spaces.
  const mugato::testing::TemporaryFolder folder;
  const auto fixtures = std::filesystem::path(MUGATO_FIXTURES) / "minari_arrow";
  std::filesystem::copy(fixtures / "arrow-mixed-v0", folder.path(), std::filesystem::copy_options::recursive);
  testing::write_text(folder / "data/0/part-0.arrow", read_file(fixtures / "arrow-pair-v0/data/0/part-0.arrow"));
  EXPECT_THAT(message_of([&] { open_minari(folder.path())->get(0); }),
              HasSubstr("data/0/part-0.arrow: 'observations/direction': there is no column 'direction' in it"));
}

TEST(MinariVersions, BothShapesOfJpegsMixInOneFile) {
  const EditedSet set(kPictures);
  const std::string name = "episode_1/observations/image";
  const auto rows = set.rows(name);
  const std::vector<std::string> same(rows.size(), rows[0]);
  const auto images = [&] {
    for (auto& field : open_minari(set.path())->get(1).fields)
      if (field.values.dim() == 4) return field.values;
    return at::Tensor();
  };
  const auto first = images().narrow(0, 0, 1);
  set.replace_by_rows(name, same);
  EXPECT_TRUE(at::equal(images(), first.expand_as(images())));  // repeated images are decoded once
  const auto of_rows = digest(open_minari(set.path())->raw(1));
  std::string table;
  for (const auto& row : same) table += row;
  set.replace(name, H5T_NATIVE_UINT8, {same.size(), same[0].size()}, table.data());
  const auto source = open_minari(set.path());
  EXPECT_EQ(digest(source->raw(1)), of_rows);
  EXPECT_GT(source->get(0).num_steps, 0);  // still rows of several lengths
}

TEST(MinariVersions, TheIdsThatMinari053StoredAsJpegsAreRefused) {
  const EditedSet set(kGrid);
  const auto jpegs = EditedSet(kPictures).rows("episode_0/observations/image");
  ASSERT_EQ(jpegs.size(), 3);
  set.replace_by_rows("episode_0/observations/image", jpegs);
  EXPECT_THAT(message_of_reading(set, 0), AllOf(HasSubstr("episode 0: 'observations/image' holds ids as JPEGs"),
                                                HasSubstr("unusable"), HasSubstr("0.5.3")));
}

TEST(MinariVersions, RootAttributesStandInForMetadata) {
  const EditedSet set(kGrid);
  const auto metadata = testing::read_json(set.metadata());
  for (const char* key : {"total_episodes", "total_steps"}) {
    const auto value = metadata[key].get<int64_t>();
    set.add_attribute("/", key, H5T_NATIVE_INT64, &value);
  }
  for (const char* key : {"observation_space", "action_space", "dataset_id"})
    set.add_attribute("/", key, metadata[key].get<std::string>());
  std::filesystem::remove(set.metadata());
  const auto old = open_minari(set.path()), present = open_minari(testing::minari_fixture(kGrid));
  EXPECT_EQ(json::parse(old->about()), json({{"dataset_id", kGrid}}));
  ASSERT_EQ(old->size(), present->size());
  for (int64_t i = 0; i < old->size(); ++i) EXPECT_EQ(digest(old->raw(i)), digest(present->raw(i)));
}

TEST(MinariVersions, AttributesOfAnEpisodeAreJson) {
  const EditedSet set(kGrid);
  const uint64_t large = UINT64_MAX;
  const double infinite = INFINITY;
  set.add_attribute("episode_0", "huge", H5T_NATIVE_UINT64, &large);
  set.add_attribute("episode_0", "options/level/size", H5T_NATIVE_DOUBLE, &infinite);
  set.add_attribute("episode_0", "options/name", "größer");
  const hid_t boolean = H5Tenum_create(H5T_NATIVE_INT8);
  const int8_t no = 0, yes = 1;
  H5Tenum_insert(boolean, "FALSE", &no);
  H5Tenum_insert(boolean, "TRUE", &yes);
  set.add_attribute("episode_0", "options/level/hard", boolean, &yes);
  H5Tclose(boolean);
  const auto attributes = json::parse(open_minari(set.path())->raw(0).attributes);
  EXPECT_EQ(attributes["huge"], UINT64_MAX);
  EXPECT_EQ(attributes["options"], json({{"level", {{"size", "Infinity"}, {"hard", true}}}, {"name", "größer"}}));
  set.add_attribute("episode_0", "huge/more", H5T_NATIVE_UINT64, &large);
  EXPECT_THAT(message_of([&] { open_minari(set.path())->raw(0); }),
              HasSubstr("episode 0: its attribute 'huge/more' is both a value and a group"));
}

}  // namespace
}  // namespace mugato::data
