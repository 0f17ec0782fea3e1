// Where the numbers of a run go.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mugato/core/files.h"

namespace mugato {

class MetricSink {
 public:
  virtual ~MetricSink() = default;

  // `name` is a path such as "train/loss".
  virtual void write(int64_t step, const std::string& name, double value) = 0;

  // Makes what was written visible to readers of the file. Throws Error when it cannot.
  virtual void flush() = 0;
};

using Clock = std::function<double()>;  // seconds since 1970
double wall_clock();

// One object a line: {"step":7,"name":"train/loss","value":1.5,"time":1700000000.25}. Values that JSON lacks are the strings
// "nan", "inf" and "-inf".
class JsonlSink : public MetricSink {
 public:
  // Appends to `path`. A torn last line is dropped first; so are, when the run resumes after step `resume_step`, the lines
  // of later steps, which the run will write again, and lines that are no metric. The file is replaced atomically for that.
  explicit JsonlSink(std::filesystem::path path, std::optional<int64_t> resume_step = {}, Clock clock = wall_clock);
  ~JsonlSink() override;

  void write(int64_t step, const std::string& name, double value) override;
  void flush() override;

  int64_t num_dropped_lines() const { return num_dropped_lines_; }

 private:
  int64_t num_dropped_lines_ = 0;
  std::string pending_;
  std::unique_ptr<FileWriter> file_;
  Clock clock_;
};

// Events of TensorBoard in `folder`/events.out.tfevents.<seconds>.<host>.<pid>, a new file a sink. Values are float32 there.
class TensorBoardSink : public MetricSink {
 public:
  // With `resume_step`, readers are told to forget the points of later steps that earlier files of the folder hold.
  explicit TensorBoardSink(const std::filesystem::path& folder, std::optional<int64_t> resume_step = {},
                           Clock clock = wall_clock);
  ~TensorBoardSink() override;

  void write(int64_t step, const std::string& name, double value) override;
  void flush() override;

  const std::filesystem::path& path() const { return file_->path(); }

 private:
  std::string pending_;
  std::unique_ptr<FileWriter> file_;
  Clock clock_;
};

// Passes everything on to each of its sinks.
class MetricSinks : public MetricSink {
 public:
  void add(std::unique_ptr<MetricSink> sink) { sinks_.push_back(std::move(sink)); }
  void write(int64_t step, const std::string& name, double value) override;
  void flush() override;

 private:
  std::vector<std::unique_ptr<MetricSink>> sinks_;
};

// The framing of TensorBoard's files: length, masked CRC-32C of the length, payload, masked CRC-32C of the payload.
std::string tfrecord(std::string_view payload);
uint32_t crc32c(std::string_view bytes);

}  // namespace mugato
