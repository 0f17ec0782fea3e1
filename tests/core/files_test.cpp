#include "mugato/core/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <set>

#include "mugato/core/error.h"
#include "temporary_folder.h"

namespace mugato {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::TemporaryFolder;

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

template <class Action>
std::string error_of(Action action, int exit_code) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), exit_code);
    return error.what();
  }
  return "";
}

// Files of this process cannot grow beyond `bytes` while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST(Files, ReadsWhatWasWritten) {
  const TemporaryFolder folder;
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes += static_cast<char>(i * 7);
  for (const std::string& content : {bytes, std::string(), std::string(3, '\0')}) {
    write_file_atomically(folder / "file", content);
    EXPECT_EQ(read_file(folder / "file"), content);
  }
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"file"});
}

TEST(Files, ReadingWhatIsNotThereSaysSo) {
  const TemporaryFolder folder;
  const std::string error = error_of([&] { read_file(folder / "none"); }, 2);
  EXPECT_THAT(error, HasSubstr((folder / "none").string() + "': No such file or directory\nhint: "));
  EXPECT_THAT(error_of([&] { read_file(folder.path()); }, 2), HasSubstr("Is a directory"));
  EXPECT_THAT(error_of([&] { read_file("/dev/zero"); }, 2), HasSubstr("not a regular file"));
}

TEST(Files, AFailedWriteLeavesTheOldFileAndNothingElse) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "file", "old");
  {
    const FileSizeLimit limit(1000);
    const std::string error = error_of([&] { write_file_atomically(folder / "file", std::string(5000, 'x')); }, 1);
    EXPECT_THAT(error, HasSubstr("file.tmp."));
    EXPECT_THAT(error, HasSubstr("File too large\nhint: "));
  }
  EXPECT_EQ(read_file(folder / "file"), "old");
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"file"});
  EXPECT_THAT(error_of([&] { write_file_atomically(folder / "none" / "file", "x"); }, 2), HasSubstr("No such file"));
  fs::create_directory(folder / "taken");
  EXPECT_NE(error_of([&] { write_file_atomically(folder / "taken", "x"); }, 2), "");
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"file", "taken"}));
}

TEST(Files, AFullDiskIsAFailureWithAHint) {
  FileWriter full("/dev/full", FileWriter::Mode::kAppend);
  EXPECT_THAT(error_of([&] { full.write("x"); }, 1), HasSubstr("'/dev/full': No space left on device\nhint: free some space"));
}

TEST(Files, AppendingKeepsWhatIsThere) {
  const TemporaryFolder folder;
  for (const std::string text : {"one ", "two"}) {
    FileWriter file(folder / "log", FileWriter::Mode::kAppend);
    file.write(text);
    file.close();
  }
  EXPECT_EQ(read_file(folder / "log"), "one two");
}

TEST(Files, LinksMoveInOneStepAndReplaceOnlyLinks) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "a");
  point_link(folder / "latest", "a");
  EXPECT_EQ(fs::read_symlink(folder / "latest"), "a");
  point_link(folder / "latest", "b");
  EXPECT_EQ(fs::read_symlink(folder / "latest"), "b");
  EXPECT_THAT(error_of([&] { point_link(folder / "a", "b"); }, 2), HasSubstr("something else has this name"));
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"a", "latest"}));
}

TEST(FolderTransaction, AppearsWholeOrNotAtAll) {
  const TemporaryFolder folder;
  {
    FolderTransaction dropped(folder / "step");
    dropped.write("model", "half");
    EXPECT_FALSE(fs::exists(folder / "step"));
    EXPECT_EQ(dropped.folder().string(), (folder / "step").string() + ".tmp." + std::to_string(::getpid()));
  }
  EXPECT_TRUE(names_in(folder.path()).empty());
  FolderTransaction kept((folder / "step") / "");
  kept.write("model", "whole");
  fs::create_directory(kept.folder() / "tokens");
  write_file_atomically(kept.folder() / "tokens" / "vocabulary", "abc");
  EXPECT_FALSE(is_complete_folder(kept.folder()));
  kept.commit();
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"step"});
  EXPECT_EQ(names_in(folder / "step"), (std::set<std::string>{"DONE", "model", "tokens"}));
  EXPECT_EQ(read_file(folder / "step" / "DONE"), "5 model\n3 tokens/vocabulary\n");
  check_complete_folder(folder / "step");
}

TEST(FolderTransaction, ReplacesAFolderOfTheSameName) {
  const TemporaryFolder folder;
  for (const std::string name : {"first", "second"}) {
    FolderTransaction transaction(folder / "step");
    transaction.write(name, name);
    transaction.commit();
  }
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"step"});
  EXPECT_EQ(names_in(folder / "step"), (std::set<std::string>{"DONE", "second"}));
}

TEST(FolderTransaction, AFailureLeavesTheOldFolder) {
  const TemporaryFolder folder;
  {
    FolderTransaction transaction(folder / "step");
    transaction.write("model", "old");
    transaction.commit();
  }
  const auto fail = [&] {
    FolderTransaction transaction(folder / "step");
    const FileSizeLimit limit(1000);
    transaction.write("model", std::string(5000, 'x'));
    transaction.commit();
  };
  EXPECT_THAT(error_of(fail, 1), HasSubstr("File too large"));
  EXPECT_EQ(names_in(folder.path()), std::set<std::string>{"step"});
  EXPECT_EQ(read_file(folder / "step" / "model"), "old");
  write_file_atomically(folder / "file", "x");
  FolderTransaction over_file(folder / "file");
  EXPECT_NE(error_of([&] { over_file.commit(); }, 2), "");
  EXPECT_EQ(read_file(folder / "file"), "x");
}

TEST(FolderTransaction, ADamagedFolderIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { check_complete_folder(folder / "none"); }, 2), HasSubstr("no file DONE"));
  FolderTransaction transaction(folder / "step");
  transaction.write("model one", "12345");
  transaction.write("state", "1");
  transaction.commit();
  write_file_atomically(folder / "step" / "model one", "1234");
  EXPECT_THAT(error_of([&] { check_complete_folder(folder / "step"); }, 2), HasSubstr("model one' has 4 bytes, DONE says 5"));
  fs::remove(folder / "step" / "model one");
  EXPECT_THAT(error_of([&] { check_complete_folder(folder / "step"); }, 2), HasSubstr("model one' is missing"));
  fs::remove(folder / "step" / "DONE");
  EXPECT_THAT(error_of([&] { check_complete_folder(folder / "step"); }, 2), HasSubstr("no file DONE"));
}

TEST(FolderTransaction, LeftoversOfDeadProcessesAreRemoved) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "step-1.tmp.123" / "deep");
  fs::create_directories(folder / "step-1");
  fs::create_directories(folder / "notes.tmp.abc");
  write_file_atomically(folder / "file.tmp.5", "x");
  EXPECT_EQ(remove_unfinished_folders(folder.path()), 1);
  EXPECT_EQ(names_in(folder.path()), (std::set<std::string>{"step-1", "notes.tmp.abc", "file.tmp.5"}));
  EXPECT_EQ(remove_unfinished_folders(folder / "none"), 0);
}

TEST(CompleteFolder, IsRemovedWithWhatAnInterruptedRemovalLeft) {
  const TemporaryFolder folder;
  for (const char* name : {"kept", "old"}) {
    FolderTransaction transaction(folder / name);
    transaction.write("data", "x");
    transaction.commit();
  }
  fs::create_directories(folder / ("old.tmp." + std::to_string(::getpid())));
  remove_complete_folder(folder / "old");
  EXPECT_EQ(remove_unfinished_folders(folder.path()), 0);
  EXPECT_FALSE(fs::exists(folder / "old"));
  EXPECT_TRUE(is_complete_folder(folder / "kept"));
  EXPECT_THROW(remove_complete_folder(folder / "old"), Error);
}

TEST(Folders, AreMadeWithThoseAboveThem) {
  const TemporaryFolder folder;
  make_folders(folder / "a/b/c");
  make_folders(folder / "a/b/c");
  EXPECT_TRUE(fs::is_directory(folder / "a/b/c"));
  write_file_atomically(folder / "file", "");
  EXPECT_THROW(make_folders(folder / "file/below"), Error);
}

TEST(Files, WhetherAFileCanBeWrittenIsKnownBefore) {
  const TemporaryFolder folder;
  check_writable(folder / "new");
  EXPECT_TRUE(fs::is_empty(folder / ".")) << "nothing is left behind";
  write_file_atomically(folder / "old", "x");
  check_writable(folder / "old");
  EXPECT_EQ(read_file(folder / "old"), "x");
  EXPECT_THAT(error_of([&] { check_writable(folder / "none" / "file"); }, 2), HasSubstr("there is no folder"));
  EXPECT_THAT(error_of([&] { check_writable(folder / "old" / "file"); }, 2), HasSubstr("there is no folder"));
  EXPECT_THAT(error_of([&] { check_writable(folder / "."); }, 2), HasSubstr("cannot write"));
}

}  // namespace
}  // namespace mugato
