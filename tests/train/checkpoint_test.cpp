#include "mugato/train/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "message_of.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "mugato/core/safetensors.h"
#include "training.h"

namespace mugato {
namespace {

namespace fs = std::filesystem;
using testing::message_of;
using testing::Recipe;
using testing::TemporaryFolder;
using testing::tiny_agent;

// An agent with its optimizer, and a store.
struct Saver {
  explicit Saver(const fs::path& run, int64_t keep = 2) : store(run, keep, {{"config.toml", "a = 1\n"}}) {}
  void save(int64_t step, bool is_best = false) {
    store.save(*agent, optimizer, {.step = step, .data = "position " + std::to_string(step)}, is_best);
  }
  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& entry : fs::directory_iterator(store.folder())) all.insert(entry.path().filename());
    return all;
  }

  std::shared_ptr<Agent> agent = tiny_agent(0.0);
  AdamW optimizer{*agent, {}};
  CheckpointStore store;
};

TEST(Checkpoint, RoundTripKeepsEveryBitOfTheState) {
  const TemporaryFolder folder;
  Saver saver(folder.path());
  TrainState state{.step = 1234567, .data = "{\"a\":\n\"b\"}", .best_score = 0.1 + 0.2};
  state.counts["x"] = {1, 2, int64_t{1} << 60, 7};
  saver.store.save(*saver.agent, saver.optimizer, state, false);
  Saver other(folder.path());
  for (auto& parameter : other.agent->parameters()) parameter.detach().zero_();
  const auto loaded = CheckpointStore::load(saver.store.newest().value(), *other.agent, &other.optimizer);
  EXPECT_EQ(loaded.step, state.step);
  EXPECT_EQ(loaded.data, state.data);
  EXPECT_EQ(loaded.best_score, state.best_score);
  EXPECT_EQ(loaded.counts.at("x").targets, int64_t{1} << 60);
  EXPECT_EQ(loaded.counts.at("x").clipped, 7);
  for (const auto& item : saver.agent->named_parameters())
    EXPECT_TRUE(item.value().equal(*other.agent->named_parameters().find(item.key()))) << item.key();
  EXPECT_EQ(read_file(saver.store.newest().value() / "config.toml"), "a = 1\n");
}

TEST(Checkpoint, ABestScoreThatThereIsNotYetComesBackAsInfinite) {
  const TemporaryFolder folder;
  Saver saver(folder.path());
  saver.save(1);
  EXPECT_EQ(CheckpointStore::load(saver.store.newest().value(), *saver.agent, nullptr).best_score, INFINITY);
}

TEST(Checkpoint, NewestIsByStepAndComplete) {
  const TemporaryFolder folder;
  Saver saver(folder.path(), 10);
  EXPECT_FALSE(saver.store.newest()) << "no folder yet";
  for (const int64_t step : {9999999, 10000000, 20, 3}) saver.save(step);
  EXPECT_EQ(saver.store.newest().value().filename(), "step-10000000") << "by number, not by name";
  fs::remove(saver.store.folder() / "step-10000000/DONE");
  EXPECT_EQ(saver.store.newest().value().filename(), "step-9999999") << "without DONE it does not exist";
  fs::create_directories(saver.store.folder() / "step-99999999.tmp.77");
  write_file_atomically(saver.store.folder() / "step-99999999.tmp.77/DONE", "");
  fs::create_directories(saver.store.folder() / "step-mine");
  write_file_atomically(saver.store.folder() / "step-mine/DONE", "");
  EXPECT_EQ(saver.store.newest().value().filename(), "step-9999999");
}

TEST(Checkpoint, KeepsTheNewestAndTheBest) {
  const TemporaryFolder folder;
  Saver saver(folder.path(), 2);
  saver.save(1);
  saver.save(2, true);
  for (const int64_t step : {3, 4, 5}) saver.save(step);
  EXPECT_EQ(saver.names(), (std::set<std::string>{"best", "latest", "step-0000002", "step-0000004", "step-0000005"}));
  saver.save(6, true);  // the best of before goes with the old ones
  EXPECT_EQ(saver.names(), (std::set<std::string>{"best", "latest", "step-0000005", "step-0000006"}));
  EXPECT_EQ(fs::canonical(saver.store.folder() / "best"), fs::canonical(saver.store.folder() / "step-0000006"));
  EXPECT_EQ(fs::canonical(saver.store.folder() / "latest"), fs::canonical(saver.store.folder() / "step-0000006"));
  EXPECT_TRUE(fs::read_symlink(saver.store.folder() / "latest").is_relative()) << "a run can be moved";
}

TEST(Checkpoint, SavingClearsWhatAnInterruptedSaveLeft) {
  const TemporaryFolder folder;
  Saver saver(folder.path());
  fs::create_directories(saver.store.folder() / "step-0000001.tmp.4242");
  fs::create_directory_symlink("step-0000001", saver.store.folder() / "latest.tmp.4242");
  saver.save(1);
  saver.save(1);  // of the same step: replaced
  EXPECT_EQ(saver.names(), (std::set<std::string>{"latest", "step-0000001"}));
}

TEST(Checkpoint, WeightsOfAnotherShapeAreAnErrorThatNamesTheTensor) {
  const TemporaryFolder folder;
  Saver saver(folder.path());
  saver.save(1);
  const auto wide = tiny_agent(0.0, 64);
  const auto message = message_of([&] { CheckpointStore::load(saver.store.newest().value(), *wide, nullptr); });
  EXPECT_NE(message.find("model.safetensors: tensor '"), std::string::npos) << message;
  EXPECT_NE(message.find("has shape ["), std::string::npos) << message;
  EXPECT_NE(message.find("\nhint: "), std::string::npos) << message;
}

TEST(Checkpoint, MissingAndUnknownTensorsAreErrorsThatNameThem) {
  const auto agent = tiny_agent(0.0);
  std::map<std::string, at::Tensor> tensors;
  for (const auto& item : agent->named_parameters()) tensors[item.key()] = item.value().detach();
  load_parameters(*agent, tensors, "file");
  auto missing = tensors, unknown = tensors;
  missing.erase("embedder.table");
  unknown["surplus"] = at::zeros({1});
  EXPECT_NE(message_of([&] { load_parameters(*agent, missing, "file"); }).find("file: tensor 'embedder.table' is missing"),
            std::string::npos);
  EXPECT_NE(message_of([&] { load_parameters(*agent, unknown, "file"); }).find("'surplus'"), std::string::npos);
}

TEST(Checkpoint, AnOptimizersStateOfAnotherShapeIsAnErrorThatNamesIt) {
  const TemporaryFolder folder;
  Saver saver(folder.path());
  saver.save(1);
  const auto checkpoint = saver.store.newest().value();
  auto state = SafetensorsReader(checkpoint / "optimizer-rank0.safetensors").read_all();
  state["head.exp_avg"] = at::zeros({2, 2});
  EXPECT_NE(message_of([&] { saver.optimizer.load_state(state); }).find("'head.exp_avg'"), std::string::npos);
  state.erase("head.exp_avg");
  EXPECT_NE(message_of([&] { saver.optimizer.load_state(state); }).find("missing"), std::string::npos);
}

TEST(Checkpoint, ATruncatedFileIsAnErrorThatNamesIt) {
  for (const std::string name : {"model.safetensors", "optimizer-rank0.safetensors", "state.json", "config.toml"}) {
    const TemporaryFolder folder;
    Saver saver(folder.path());
    saver.save(1);
    const auto checkpoint = saver.store.newest().value();
    fs::resize_file(checkpoint / name, fs::file_size(checkpoint / name) / 2);
    const auto load = [&] { CheckpointStore::load(checkpoint, *saver.agent, &saver.optimizer); };
    EXPECT_NE(message_of(load).find(name), std::string::npos) << message_of(load);
    fs::remove(checkpoint / name);
    EXPECT_NE(message_of(load).find(name), std::string::npos) << message_of(load);
  }
}

TEST(Checkpoint, AStateThatIsNoneIsAnErrorThatNamesTheFile) {
  for (const std::string bad : {"", "nonsense", "[]", "{}", R"({"step":"1","data":"","counts":{}})",
                                R"({"step":1,"data":3,"counts":{}})", R"({"step":1,"data":"","counts":{"a":[1]}})"}) {
    const TemporaryFolder folder;
    Saver saver(folder.path());
    saver.save(1);
    const auto checkpoint = saver.store.newest().value();
    // The size in DONE is that of the file, as if it had been written like this.
    const auto before = std::to_string(fs::file_size(checkpoint / "state.json")) + " state.json";
    auto done = read_file(checkpoint / "DONE");
    done.replace(done.find(before), before.size(), std::to_string(bad.size()) + " state.json");
    write_file_atomically(checkpoint / "DONE", done);
    write_file_atomically(checkpoint / "state.json", bad);
    const auto message = message_of([&] { CheckpointStore::load(checkpoint, *saver.agent, nullptr); });
    EXPECT_NE(message.find("state.json: not the state of a run"), std::string::npos) << message;
  }
}

TEST(Checkpoint, AFolderThatCanNotBeMadeIsAnError) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "run", "a file");
  Saver saver(folder / "run");
  const auto message = message_of([&] { saver.save(1); });
  EXPECT_NE(message.find("cannot make the folder"), std::string::npos) << message;
  EXPECT_NE(message.find("\nhint: "), std::string::npos) << message;
}

// While it lives, no file may grow beyond `bytes`: what a full disk does, without special rights.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(Checkpoint, ADiskThatIsFullIsAFailureThatLeavesTheCheckpointBeforeWhole) {
  const TemporaryFolder folder;
  Saver saver(folder.path(), 1);
  saver.save(1);
  const auto size = fs::file_size(saver.store.folder() / "step-0000001/model.safetensors");
  std::string message;
  int exit_code = 0;
  for (const rlim_t limit : {rlim_t{0}, rlim_t{100}, size / 2, size + 100}) {  // the last one: the optimizer does not fit
    const FileSizeLimit full(limit);
    try {
      saver.save(2, true);
    } catch (const Error& error) {
      message = error.what();
      exit_code = error.exit_code();
    }
    EXPECT_EQ(exit_code, 1);
    EXPECT_NE(message.find("\nhint: "), std::string::npos) << message;
    EXPECT_EQ(saver.names(), (std::set<std::string>{"latest", "step-0000001"})) << "limit " << limit;
    message.clear();
    exit_code = 0;
  }
  EXPECT_NO_THROW(CheckpointStore::load(saver.store.newest().value(), *saver.agent, &saver.optimizer));
  saver.save(2);
  EXPECT_EQ(saver.store.newest().value().filename(), "step-0000002");
}

}  // namespace
}  // namespace mugato
