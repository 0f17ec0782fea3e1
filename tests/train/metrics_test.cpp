#include "mugato/train/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "mugato/core/error.h"
#include "mugato/core/random.h"
#include "temporary_folder.h"

namespace mugato {
namespace {

using ::testing::ElementsAre;
using testing::TemporaryFolder;

// 100, 101, 102, ...
Clock counting_clock() {
  return [time = 99.0]() mutable { return ++time; };
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(JsonlSink, WritesOneObjectALine) {
  const TemporaryFolder folder;
  JsonlSink sink(folder / "metrics.jsonl", {}, counting_clock());
  sink.write(7, "train/loss", 1.5);
  sink.write(7, "bad/\"\n", std::nan(""));
  sink.write(8, "up", kInfinity);
  sink.write(-1, "down", -kInfinity);
  EXPECT_EQ(read_file(folder / "metrics.jsonl"), "") << "nothing is promised before flush()";
  sink.flush();
  EXPECT_EQ(read_file(folder / "metrics.jsonl"),
            "{\"step\":7,\"name\":\"train/loss\",\"value\":1.5,\"time\":100.0}\n"
            "{\"step\":7,\"name\":\"bad/\\\"\\n\",\"value\":\"nan\",\"time\":101.0}\n"
            "{\"step\":8,\"name\":\"up\",\"value\":\"inf\",\"time\":102.0}\n"
            "{\"step\":-1,\"name\":\"down\",\"value\":\"-inf\",\"time\":103.0}\n");
}

TEST(JsonlSink, DoublesComeBackTheSame) {
  const TemporaryFolder folder;
  Random random(1);
  std::vector<double> values;
  {
    JsonlSink sink(folder / "metrics.jsonl");
    for (int i = 0; i < 200; ++i) {
      values.push_back(std::ldexp(random.normal(), static_cast<int>(random.between(-1000, 1000))));
      sink.write(i, "x", values.back());
    }
  }
  std::istringstream lines(read_file(folder / "metrics.jsonl"));
  std::string line;
  for (const double value : values) {
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_EQ(nlohmann::json::parse(line)["value"].get<double>(), value);
  }
}

std::vector<int64_t> steps_in(const std::filesystem::path& path) {
  std::vector<int64_t> steps;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) steps.push_back(nlohmann::json::parse(line)["step"].get<int64_t>());
  return steps;
}

TEST(JsonlSink, ResumingDropsLaterStepsAndTheTornLine) {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  {
    JsonlSink sink(path);
    for (const int64_t step : {1, 2, 3, 2, 4}) sink.write(step, "x", 0.0);
  }
  FileWriter(path, FileWriter::Mode::kAppend).write("not a metric\n{\"step\":1,\"na");
  {
    JsonlSink sink(path, /*resume_step=*/2);
    EXPECT_EQ(sink.num_dropped_lines(), 4);
    EXPECT_THAT(steps_in(path), ElementsAre(1, 2, 2));
    sink.write(3, "x", 0.0);
  }
  EXPECT_THAT(steps_in(path), ElementsAre(1, 2, 2, 3));
}

TEST(JsonlSink, WithoutAStepOnlyTheTornLineGoes) {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  write_file_atomically(path, "{\"step\":5}\n{\"st");
  {
    JsonlSink sink(path);
    EXPECT_EQ(sink.num_dropped_lines(), 1);
    sink.write(1, "x", 0.0);
  }
  EXPECT_THAT(steps_in(path), ElementsAre(5, 1));
}

TEST(JsonlSink, AFolderThatIsMissingIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THROW(JsonlSink(folder / "none" / "metrics.jsonl"), Error);
}

TEST(JsonlSink, AFailedWriteIsReportedByFlush) {
  JsonlSink sink("/dev/full");
  sink.write(1, "x", 0.0);
  EXPECT_THROW(sink.flush(), Error);
}

class RecordingSink : public MetricSink {
 public:
  explicit RecordingSink(std::vector<std::string>* log) : log_(log) {}
  void write(int64_t step, const std::string& name, double value) override {
    log_->push_back(std::to_string(step) + " " + name + " " + std::to_string(static_cast<int>(value)));
  }
  void flush() override { log_->push_back("flush"); }

 private:
  std::vector<std::string>* log_;
};

TEST(MetricSinks, PassesEverythingToEachSink) {
  std::vector<std::string> first, second;
  MetricSinks sinks;
  sinks.add(std::make_unique<RecordingSink>(&first));
  sinks.add(std::make_unique<RecordingSink>(&second));
  sinks.write(3, "x", 4.0);
  sinks.flush();
  EXPECT_THAT(first, ElementsAre("3 x 4", "flush"));
  EXPECT_EQ(first, second);
}

}  // namespace
}  // namespace mugato
