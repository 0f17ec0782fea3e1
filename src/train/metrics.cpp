#include "mugato/train/metrics.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "metrics_internal.h"

namespace mugato {
namespace {

// The part of a metrics file that a run resuming after `resume_step` keeps; counts the lines that it leaves out.
std::string keep_lines(const std::string& text, std::optional<int64_t> resume_step, int64_t& num_dropped) {
  std::string kept;
  for (size_t start = 0; start < text.size();) {
    const size_t end = text.find('\n', start);
    bool keep = end != std::string::npos;
    if (keep && resume_step) {
      const auto line =
          nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(start),
                                text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, /*allow_exceptions=*/false);
      keep = line.is_object() && line.contains("step") && line["step"].is_number_integer() &&
             line["step"].get<int64_t>() <= *resume_step;
    }
    const size_t next = end == std::string::npos ? text.size() : end + 1;
    if (keep) kept.append(text, start, next - start);
    num_dropped += keep ? 0 : 1;
    start = next;
  }
  return kept;
}

nlohmann::ordered_json number_or_word(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

}  // namespace

double wall_clock() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

void flush_or_warn(MetricSink& sink) noexcept {
  try {
    sink.flush();
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "the last metrics are lost: %s\n", failure.what());
  }
}

JsonlSink::JsonlSink(std::filesystem::path path, std::optional<int64_t> resume_step, Clock clock) : clock_(std::move(clock)) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path, ignored)) {
    const std::string text = read_file(path);
    const std::string kept = keep_lines(text, resume_step, num_dropped_lines_);
    if (kept.size() != text.size()) write_file_atomically(path, kept);
  }
  file_ = std::make_unique<FileWriter>(std::move(path), FileWriter::Mode::kAppend);
}

JsonlSink::~JsonlSink() { flush_or_warn(*this); }

void JsonlSink::write(int64_t step, const std::string& name, double value) {
  const nlohmann::ordered_json line = {
      {"step", step}, {"name", name}, {"value", number_or_word(value)}, {"time", number_or_word(clock_())}};
  // A name that is not UTF-8 keeps its readable part: a metric is no reason to stop a run.
  pending_ += line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

void JsonlSink::flush() {
  file_->write(pending_);
  pending_.clear();
}

void MetricSinks::write(int64_t step, const std::string& name, double value) {
  for (const auto& sink : sinks_) sink->write(step, name, value);
}

void MetricSinks::flush() {
  for (const auto& sink : sinks_) sink->flush();
}

}  // namespace mugato
