#if MUGATO_ARROW && MUGATO_AV

#include "video_file.h"

#include <arrow/io/interfaces.h>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>
}

#include "arrow_status.h"
#include "mugato/core/error.h"

namespace mugato::data {
namespace {

constexpr int kBuffer = 64 << 10;                 // bytes that are read at once
constexpr int64_t kMaxPixels = int64_t{1} << 26;  // of a frame

const char* const kBroken = "the video may be cut off: make or download it again";

template <auto free_function>
struct Free {
  template <class T>
  void operator()(T* object) const {
    free_function(&object);
  }
};

void free_io(AVIOContext** io) {
  av_freep(&(*io)->buffer);
  avio_context_free(io);
}
void free_scaler(SwsContext** scaler) { sws_freeContext(*scaler); }

std::string reason(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  return text;
}

// A file of a storage as libav reads one.
struct Bytes {
  std::shared_ptr<arrow::io::RandomAccessFile> file;
  int64_t size = 0, position = 0;

  static int read(void* self, uint8_t* out, int length) {
    auto& bytes = *static_cast<Bytes*>(self);
    const auto count = bytes.file->ReadAt(bytes.position, length, out);
    if (!count.ok()) return AVERROR(EIO);
    bytes.position += *count;
    return *count == 0 ? AVERROR_EOF : static_cast<int>(*count);
  }

  static int64_t seek(void* self, int64_t offset, int whence) {
    auto& bytes = *static_cast<Bytes*>(self);
    if (whence & AVSEEK_SIZE) return bytes.size;
    const int64_t base = whence == SEEK_END ? bytes.size : whence == SEEK_CUR ? bytes.position : 0;
    if (base + offset < 0) return AVERROR(EINVAL);
    return bytes.position = base + offset;
  }
};

}  // namespace

class VideoFile::Decoder {
 public:
  Decoder(const Storage& storage, const std::string& path) : name_(storage.name_of(path)) {
    bytes_.file = storage.open(path);
    bytes_.size = value_of(bytes_.file->GetSize(), name_);
    av_log_set_level(AV_LOG_FATAL);  // what is wrong is thrown
    auto* buffer = static_cast<unsigned char*>(av_malloc(kBuffer));
    io_.reset(avio_alloc_context(buffer, kBuffer, /*write_flag=*/0, &bytes_, &Bytes::read, nullptr, &Bytes::seek));
    auto* format = avformat_alloc_context();
    format->pb = io_.get();
    format->format_whitelist = av_strdup("mov,matroska");  // playlists and scripts would open other files
    format->protocol_whitelist = av_strdup("none");
    check(avformat_open_input(&format, nullptr, nullptr, nullptr), "cannot be opened as a video");  // frees it when it fails
    format_.reset(format);
    check(avformat_find_stream_info(format, nullptr), "has no stream that can be read");
    open_decoder();
  }

  at::Tensor frames(const std::vector<double>& times, double tolerance, int64_t height, int64_t width) {
    auto all = at::empty({static_cast<int64_t>(times.size()), height, width, 3}, at::kByte);
    height_ = height, width_ = width;
    for (size_t i = 0; i < times.size(); ++i) {
      find(times[i], tolerance);
      copy_frame(all[static_cast<int64_t>(i)].mutable_data_ptr<uint8_t>());
    }
    return all;
  }

 private:
  void open_decoder() {
    const AVCodec* codec = nullptr;
    stream_ =
        check(av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0), "has no video that can be decoded");
    for (unsigned i = 0; i < format_->nb_streams; ++i)
      if (static_cast<int>(i) != stream_) format_->streams[i]->discard = AVDISCARD_ALL;
    codec_.reset(avcodec_alloc_context3(codec));
    check(avcodec_parameters_to_context(codec_.get(), format_->streams[stream_]->codecpar), "has broken parameters");
    codec_->pkt_timebase = format_->streams[stream_]->time_base;
    codec_->max_pixels = kMaxPixels;
    codec_->thread_count = 1;  // episodes are read in parallel
    check(avcodec_open2(codec_.get(), codec, nullptr), "has no decoder that works");
    seconds_ = av_q2d(format_->streams[stream_]->time_base);
  }

  int check(int code, const std::string& what) const {
    if (code < 0) throw Error(name_ + " " + what + ": " + reason(code), kBroken);
    return code;
  }

  // Makes `frame_` the one shown at `time`.
  void find(double time, double tolerance) {
    if (!has_frame_ || time < time_ - tolerance || time > time_ + kFarAhead) {
      seek(time);
      if (!next_frame() || time_ > time + tolerance) {  // the index led too far
        seek(0.0);
        next_frame();
      }
    }
    double before = -1.0;
    while (has_frame_ && time_ < time - tolerance) {
      before = time_;
      next_frame();
    }
    if (!has_frame_ || time_ > time + tolerance)
      throw Error(name_ + " has no frame within " + std::to_string(tolerance) + " s of " + std::to_string(time) + " s, " +
                      (before < 0 ? "" : "one at " + std::to_string(before) + " s and then ") +
                      (has_frame_ ? "one at " + std::to_string(time_) + " s" : "none"),
                  "the video may be cut off, or the table's timestamps may not be the video's");
  }

  void seek(double time) {
    const auto target = static_cast<int64_t>(std::floor(time / seconds_));
    check(av_seek_frame(format_.get(), stream_, target, AVSEEK_FLAG_BACKWARD), "cannot be searched");
    avcodec_flush_buffers(codec_.get());
    has_frame_ = at_end_ = false;
  }

  // False at the end.
  bool next_frame() {
    has_frame_ = false;
    for (;;) {
      const int code = avcodec_receive_frame(codec_.get(), frame_.get());
      if (code == 0) break;
      if (code == AVERROR_EOF) return false;
      if (code != AVERROR(EAGAIN)) check(code, "cannot be decoded");
      send_packet();
    }
    if (frame_->best_effort_timestamp == AV_NOPTS_VALUE)
      throw Error(name_ + " has a frame without a time", "make the video again");
    time_ = static_cast<double>(frame_->best_effort_timestamp) * seconds_;
    return has_frame_ = true;
  }

  // The next packet of the stream; at the file's end, what lets the decoder give its last frames.
  void send_packet() {
    while (!at_end_) {
      const int code = av_read_frame(format_.get(), packet_.get());
      if (code == AVERROR_EOF) {
        at_end_ = true;
        break;
      }
      check(code, "cannot be read");
      if (packet_->stream_index == stream_) {
        check(avcodec_send_packet(codec_.get(), packet_.get()), "cannot be decoded");
        av_packet_unref(packet_.get());
        return;
      }
      av_packet_unref(packet_.get());
    }
    check(avcodec_send_packet(codec_.get(), nullptr), "cannot be decoded");
  }

  void copy_frame(uint8_t* out) {
    if (frame_->height != height_ || frame_->width != width_)
      throw Error(name_ + " has frames of " + std::to_string(frame_->height) + " x " + std::to_string(frame_->width) +
                      " pixels, not " + std::to_string(height_) + " x " + std::to_string(width_),
                  "info.json says the size of the feature");
    const auto format = static_cast<AVPixelFormat>(frame_->format);
    scaler_.reset(sws_getCachedContext(scaler_.release(), frame_->width, frame_->height, format, frame_->width, frame_->height,
                                       AV_PIX_FMT_RGB24, SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
    if (!scaler_) throw Error(name_ + " has pixels of a format that cannot be converted to RGB", "encode the video as yuv420p");
    const bool full_range = frame_->color_range == AVCOL_RANGE_JPEG;
    sws_setColorspaceDetails(scaler_.get(), sws_getCoefficients(frame_->colorspace), full_range,
                             sws_getCoefficients(SWS_CS_DEFAULT), /*dstRange=*/1, 0, 1 << 16, 1 << 16);
    uint8_t* const planes[] = {out, nullptr, nullptr, nullptr};
    const int strides[] = {3 * frame_->width, 0, 0, 0};
    sws_scale(scaler_.get(), frame_->data, frame_->linesize, 0, frame_->height, planes, strides);
  }

  static constexpr double kFarAhead = 10.0;  // seconds: nearer frames are reached by decoding on

  std::string name_;
  Bytes bytes_;
  std::unique_ptr<AVIOContext, Free<free_io>> io_;  // outlives the format's context
  std::unique_ptr<AVFormatContext, Free<avformat_close_input>> format_;
  std::unique_ptr<AVCodecContext, Free<avcodec_free_context>> codec_;
  std::unique_ptr<AVPacket, Free<av_packet_free>> packet_{av_packet_alloc()};
  std::unique_ptr<AVFrame, Free<av_frame_free>> frame_{av_frame_alloc()};
  std::unique_ptr<SwsContext, Free<free_scaler>> scaler_;
  int stream_ = -1;
  double seconds_ = 0.0;  // a unit of the stream's times
  int64_t height_ = 0, width_ = 0;
  bool has_frame_ = false, at_end_ = false;
  double time_ = 0.0;  // of frame_
};

VideoFile::VideoFile(const Storage& storage, const std::string& path) : decoder_(std::make_unique<Decoder>(storage, path)) {}
VideoFile::~VideoFile() = default;

at::Tensor VideoFile::frames(const std::vector<double>& times, double tolerance, int64_t height, int64_t width) {
  return decoder_->frames(times, tolerance, height, width);
}

}  // namespace mugato::data

#endif  // MUGATO_ARROW && MUGATO_AV
