// What the sink writes, read by a decoder that shares nothing with it: CRC bit by bit, fields by their wire format.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <limits>
#include <stdexcept>

#include "mugato/core/random.h"
#include "mugato/train/metrics.h"
#include "temporary_folder.h"

namespace mugato {
namespace {

using namespace std::string_literals;
using testing::TemporaryFolder;

uint32_t slow_crc32c(const std::string& bytes) {
  uint64_t remainder = 0xFFFFFFFF;
  for (const char c : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      const bool low = ((remainder & 1) != 0) != (((static_cast<unsigned char>(c) >> bit) & 1) != 0);
      remainder = remainder / 2;
      if (low) remainder ^= 0x82F63B78;
    }
  }
  return static_cast<uint32_t>(remainder ^ 0xFFFFFFFF);
}

// Takes numbers and strings off the front of a byte string; throws when it is too short.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}
  bool done() const { return at_ == bytes_.size(); }

  std::string take(size_t count) { return std::string(bytes_.substr(advance(count), count)); }
  template <class T>
  T raw() {
    T value{};
    std::memcpy(&value, bytes_.data() + advance(sizeof value), sizeof value);
    return value;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const auto byte = raw<uint8_t>();
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
  }

 private:
  size_t advance(size_t count) {
    if (count > bytes_.size() - at_) throw std::out_of_range("truncated");
    at_ += count;
    return at_ - count;
  }

  std::string_view bytes_;
  size_t at_ = 0;
};

template <class T>
T number_in(const std::string& bytes) {
  Cursor in(bytes);
  return in.raw<T>();
}

struct Event {
  double time = 0.0;
  int64_t step = 0;
  std::string version;
  std::string tag;
  float value = 0.0F;
  uint64_t session_status = 0;
};

// Fields of one message: number to bytes (fixed widths and strings) or varint.
struct Message {
  std::map<uint64_t, std::string> bytes;
  std::map<uint64_t, uint64_t> varints;

  explicit Message(const std::string& text) {
    for (Cursor in(text); !in.done();) {
      const uint64_t key = in.varint();
      switch (key & 7) {
        case 0:
          varints[key >> 3] = in.varint();
          break;
        case 1:
          bytes[key >> 3] = in.take(8);
          break;
        case 2:
          bytes[key >> 3] = in.take(in.varint());
          break;
        case 5:
          bytes[key >> 3] = in.take(4);
          break;
        default:
          throw std::runtime_error("wire type");
      }
    }
  }
};

Event decode(const std::string& payload) {
  Message message(payload);
  Event event;
  event.time = number_in<double>(message.bytes.at(1));
  event.step = static_cast<int64_t>(message.varints[2]);
  event.version = message.bytes[3];
  if (message.bytes.contains(5)) {
    Message value(Message(message.bytes[5]).bytes.at(1));
    event.tag = value.bytes.at(1);
    event.value = number_in<float>(value.bytes.at(2));
  }
  if (message.bytes.contains(7)) event.session_status = Message(message.bytes[7]).varints.at(1);
  return event;
}

std::vector<Event> read_events(const std::filesystem::path& path) {
  const auto check = [](const std::string& bytes, uint32_t stored) {
    const uint32_t crc = slow_crc32c(bytes);
    EXPECT_EQ(stored, static_cast<uint32_t>(((crc >> 15) | (crc << 17)) + 0xa282ead8));
  };
  std::vector<Event> events;
  const std::string bytes = read_file(path);
  for (Cursor in(bytes); !in.done();) {
    const std::string length = in.take(8);
    check(length, in.raw<uint32_t>());
    const std::string payload = in.take(number_in<uint64_t>(length));
    check(payload, in.raw<uint32_t>());
    events.push_back(decode(payload));
  }
  return events;
}

TEST(TensorBoard, ChecksumOfTheStandard) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
  Random random(2);
  for (int i = 0; i < 50; ++i) {
    std::string bytes;
    for (int64_t n = random.below(40); n > 0; --n) bytes += static_cast<char>(random.bits());
    EXPECT_EQ(crc32c(bytes), slow_crc32c(bytes));
  }
}

// The record that TensorBoard's own test of its writer expects.
TEST(TensorBoard, RecordIsGolden) {
  const std::string payload =
      "\x09\0\0\xc0\x25\xdd\x75\xd5\x41\x1a\x0d"
      "brain.Event:1"s;
  const std::string record =
      "\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22\x09\0\0\xc0\x25\xdd\x75\xd5\x41\x1a\x0d"
      "brain.Event:1\xec\xf3\x32\x8d"s;
  EXPECT_EQ(tfrecord(payload), record);
}

TEST(TensorBoard, AFileBeginsWithTheVersionRecord) {
  const TemporaryFolder folder;
  // The time of the golden record.
  const TensorBoardSink sink(folder.path(), {}, [] { return 1440183447.0; });
  const std::string record =
      "\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22\x09\0\0\xc0\x25\xdd\x75\xd5\x41\x1a\x0d"
      "brain.Event:2\x8d\x1a\xdb\xaf"s;
  EXPECT_EQ(read_file(sink.path()), record);
  EXPECT_EQ(sink.path().filename().string().rfind("events.out.tfevents.1440183447.", 0), 0U);
  EXPECT_EQ(sink.path().extension().string().substr(1), std::to_string(::getpid()));
}

TEST(TensorBoard, ScalarsAreReadBack) {
  const TemporaryFolder folder;
  TensorBoardSink sink(folder.path(), {}, [time = 0.5]() mutable { return time += 1.0; });
  const std::string long_tag(300, 'x');
  sink.write(0, "train/loss", 1.5);
  sink.write(1LL << 40, long_tag, -0.1);
  sink.write(-1, "\xc3\xa9", std::numeric_limits<double>::infinity());
  EXPECT_EQ(read_events(sink.path()).size(), 1U) << "visible only after flush()";
  sink.flush();
  const auto events = read_events(sink.path());
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_EQ(events[1].tag, "train/loss");
  EXPECT_EQ(events[1].value, 1.5F);
  EXPECT_EQ(events[1].time, 2.5);
  EXPECT_EQ(events[2].tag, long_tag);
  EXPECT_EQ(events[2].step, 1LL << 40);
  EXPECT_EQ(events[2].value, -0.1F);
  EXPECT_EQ(events[3].step, -1);
  EXPECT_EQ(events[3].value, std::numeric_limits<float>::infinity());
}

TEST(TensorBoard, ResumingTellsReadersToForgetLaterSteps) {
  const TemporaryFolder folder;
  const TensorBoardSink sink(folder.path(), /*resume_step=*/500);
  const auto events = read_events(sink.path());
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[1].session_status, 1U);
  EXPECT_EQ(events[1].step, 501);
}

}  // namespace
}  // namespace mugato
