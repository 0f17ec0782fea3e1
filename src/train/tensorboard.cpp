#include <unistd.h>

#include <array>
#include <bit>
#include <cstring>

#include "metrics_internal.h"
#include "mugato/core/error.h"
#include "mugato/train/metrics.h"

namespace mugato {
namespace {

// Fields of the protocol buffers, by number: Event 1 wall_time, 2 step, 3 file_version, 5 summary, 7 session_log;
// Summary 1 value; Value 1 tag, 2 simple_value; SessionLog 1 status.
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

template <class T>
void append_raw(std::string& out, T value) {
  static_assert(std::endian::native == std::endian::little);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void append_key(std::string& out, uint32_t field, WireType type) { append_varint(out, field << 3 | type); }

void append_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  append_key(out, field, kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

std::string begin_event(double time) {
  std::string event;
  append_key(event, 1, kFixed64);
  append_raw(event, time);
  return event;
}

void append_step(std::string& event, int64_t step) {
  append_key(event, 2, kVarint);
  append_varint(event, static_cast<uint64_t>(step));
}

std::string version_event(double time) {
  std::string event = begin_event(time);
  append_bytes(event, 3, "brain.Event:2");
  return event;
}

// A session that starts at `step`: readers purge points of that step and later that came before it.
std::string session_event(double time, int64_t step) {
  constexpr uint64_t kStart = 1;
  std::string log;
  append_key(log, 1, kVarint);
  append_varint(log, kStart);
  std::string event = begin_event(time);
  append_step(event, step);
  append_bytes(event, 7, log);
  return event;
}

std::string scalar_event(double time, int64_t step, const std::string& tag, double scalar) {
  std::string value;
  append_bytes(value, 1, tag);
  append_key(value, 2, kFixed32);
  append_raw(value, static_cast<float>(scalar));
  std::string summary;
  append_bytes(summary, 1, value);
  std::string event = begin_event(time);
  append_step(event, step);
  append_bytes(event, 5, summary);
  return event;
}

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    table[byte] = crc;
  }
  return table;
}

uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8U; }

std::filesystem::path event_file(const std::filesystem::path& folder, double time) {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) std::strcpy(host.data(), "localhost");
  return folder / ("events.out.tfevents." + std::to_string(static_cast<int64_t>(time)) + "." + host.data() + "." +
                   std::to_string(::getpid()));
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = make_crc_table();
  uint32_t crc = 0xFFFFFFFFU;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  return ~crc;
}

std::string tfrecord(std::string_view payload) {
  std::string record;
  append_raw(record, static_cast<uint64_t>(payload.size()));
  append_raw(record, masked_crc(record));
  record += payload;
  append_raw(record, masked_crc(payload));
  return record;
}

TensorBoardSink::TensorBoardSink(const std::filesystem::path& folder, std::optional<int64_t> resume_step, Clock clock)
    : clock_(std::move(clock)) {
  const double now = clock_();
  file_ = std::make_unique<FileWriter>(event_file(folder, now), FileWriter::Mode::kAppend);
  pending_ = tfrecord(version_event(now));
  if (resume_step) pending_ += tfrecord(session_event(now, *resume_step + 1));
  flush();
}

TensorBoardSink::~TensorBoardSink() { flush_or_warn(*this); }

void TensorBoardSink::write(int64_t step, const std::string& name, double value) {
  pending_ += tfrecord(scalar_event(clock_(), step, name, value));
}

void TensorBoardSink::flush() {
  file_->write(pending_);
  pending_.clear();
}

}  // namespace mugato
