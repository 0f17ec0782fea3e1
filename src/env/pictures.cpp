#include "mugato/env/pictures.h"

#include <gif_lib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "palette.h"

namespace mugato::env {
namespace {

// `what` names the file, or the function where there is none.
void check_frame(const std::string& what, const at::Tensor& frame) {
  if (frame.defined() && frame.dim() == 3 && frame.size(2) == 3 && frame.scalar_type() == at::kByte && frame.is_cpu() &&
      frame.numel() > 0)
    return;
  throw Error(what + ": a frame is not a uint8 picture (H,W,3) in the CPU's memory",
              "convert it, for example with to(at::kByte) or cpu()");
}

void check_frames(const std::string& what, std::span<const at::Tensor> frames) {
  if (frames.empty()) throw Error(what + ": there are no frames", "give at least one");
  for (const auto& frame : frames) {
    check_frame(what, frame);
    if (frame.sizes() != frames.front().sizes())
      throw Error(what + ": frames differ in size", "resize them to the size of the first");
  }
}

// ------------------------------------------------------------------------------------------------------------ GIF files

// giflib's handle, writing into memory.
class GifWriter {
 public:
  GifWriter(const std::string& path, int width, int height, const std::vector<Palette::Color>& colors) : path_(path) {
    int error = 0;
    gif_.reset(EGifOpen(&bytes_, &append, &error));
    check(gif_ != nullptr, error);
    std::array<GifColorType, Palette::kMaxColors> entries{};
    for (size_t i = 0; i < colors.size(); ++i) entries[i] = {colors[i][0], colors[i][1], colors[i][2]};
    palette_.reset(GifMakeMapObject(Palette::kMaxColors, entries.data()));
    check(palette_ != nullptr, E_GIF_ERR_NOT_ENOUGH_MEM);
    EGifSetGifVersion(gif_.get(), true);
    check(EGifPutScreenDesc(gif_.get(), width, height, 8, 0, palette_.get()));
  }

  // The application extension that viewers read as "repeat", 0 times meaning for ever.
  void loop_forever() {
    const std::array<uint8_t, 3> repeat{1, 0, 0};
    check(EGifPutExtensionLeader(gif_.get(), APPLICATION_EXT_FUNC_CODE));
    check(EGifPutExtensionBlock(gif_.get(), 11, "NETSCAPE2.0"));
    check(EGifPutExtensionBlock(gif_.get(), static_cast<int>(repeat.size()), repeat.data()));
    check(EGifPutExtensionTrailer(gif_.get()));
  }

  void add(const at::Tensor& frame, const Palette& palette, int hundredths) {
    GraphicsControlBlock control{DISPOSE_DO_NOT, false, hundredths, NO_TRANSPARENT_COLOR};
    std::array<GifByteType, 4> extension{};
    EGifGCBToExtension(&control, extension.data());
    check(EGifPutExtension(gif_.get(), GRAPHICS_EXT_FUNC_CODE, static_cast<int>(extension.size()), extension.data()));
    const int width = static_cast<int>(frame.size(1)), height = static_cast<int>(frame.size(0));
    check(EGifPutImageDesc(gif_.get(), 0, 0, width, height, false, nullptr));
    const auto contiguous = frame.contiguous();
    const uint8_t* pixel = contiguous.data_ptr<uint8_t>();
    std::vector<GifPixelType> line(static_cast<size_t>(width));
    for (int row = 0; row < height; ++row) {
      for (auto& index : line) {
        index = palette.index_of(pixel);
        pixel += 3;
      }
      check(EGifPutLine(gif_.get(), line.data(), width));
    }
  }

  std::string finish() {
    int error = 0;
    const bool closed = EGifCloseFile(gif_.release(), &error) == GIF_OK;
    check(closed, error);
    return std::move(bytes_);
  }

 private:
  static int append(GifFileType* gif, const GifByteType* data, int size) {
    static_cast<std::string*>(gif->UserData)->append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    return size;
  }

  void check(int status) const { check(status == GIF_OK, gif_->Error); }
  void check(bool good, int error) const {
    if (good) return;
    const char* reason = GifErrorString(error);
    throw Error("cannot write '" + path_ + "': " + (reason != nullptr ? reason : "giflib failed"), "use smaller frames",
                Error::Kind::kFailure);
  }

  struct Free {
    void operator()(ColorMapObject* map) const { GifFreeMapObject(map); }
    void operator()(GifFileType* gif) const { EGifCloseFile(gif, nullptr); }
  };

  std::string path_, bytes_;
  std::unique_ptr<ColorMapObject, Free> palette_;
  std::unique_ptr<GifFileType, Free> gif_;  // goes first: closing it writes to bytes_
};

}  // namespace

void write_png(const std::string& path, const at::Tensor& frame) {
  check_frame("'" + path + "'", frame);
  const auto rgb = frame.contiguous();
  const cv::Mat image(static_cast<int>(rgb.size(0)), static_cast<int>(rgb.size(1)), CV_8UC3, rgb.data_ptr<uint8_t>());
  cv::Mat bgr;
  cv::cvtColor(image, bgr, cv::COLOR_RGB2BGR);
  std::vector<uint8_t> bytes;
  TORCH_CHECK(cv::imencode(".png", bgr, bytes), "OpenCV could not encode a PNG");
  write_file_atomically(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void write_gif(const std::string& path, std::span<const at::Tensor> frames, int milliseconds_per_frame) {
  check_frames("'" + path + "'", frames);
  if (std::max(frames[0].size(0), frames[0].size(1)) > UINT16_MAX)
    throw Error("cannot write '" + path + "': a GIF has at most 65535 rows and columns", "use smaller frames");
  const Palette palette(frames);
  GifWriter writer(path, static_cast<int>(frames[0].size(1)), static_cast<int>(frames[0].size(0)), palette.colors());
  writer.loop_forever();
  for (const auto& frame : frames) writer.add(frame, palette, std::max(2, (milliseconds_per_frame + 5) / 10));
  write_file_atomically(path, writer.finish());
}

at::Tensor filmstrip(std::span<const at::Tensor> frames, int columns) {
  constexpr int64_t kGap = 4;
  check_frames("filmstrip", frames);
  if (columns < 1) throw Error("filmstrip: " + std::to_string(columns) + " columns", "give at least one");
  const auto num_frames = static_cast<int64_t>(frames.size());
  const int64_t across = std::min<int64_t>(columns, num_frames), down = (num_frames + across - 1) / across;
  const int64_t height = frames[0].size(0), width = frames[0].size(1);
  auto sheet = at::full({down * (height + kGap) - kGap, across * (width + kGap) - kGap, 3}, 255, at::kByte);
  for (int64_t i = 0; i < num_frames; ++i) {
    sheet.narrow(0, i / across * (height + kGap), height)
        .narrow(1, i % across * (width + kGap), width)
        .copy_(frames[static_cast<size_t>(i)]);
  }
  return sheet;
}

}  // namespace mugato::env
