#include "mugato/env/pictures.h"

#include <gif_lib.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <opencv2/imgcodecs.hpp>

#include "mugato/core/error.h"
#include "mugato/core/random.h"
#include "temporary_folder.h"

namespace mugato::env {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;

at::Tensor random_frame(Random& random, int64_t height, int64_t width) {
  auto frame = at::empty({height, width, 3}, at::kByte);
  for (int64_t i = 0; i < frame.numel(); ++i) frame.data_ptr<uint8_t>()[i] = static_cast<uint8_t>(random.below(256));
  return frame;
}

// A frame of few colours: which of them a pixel has varies with the frame.
at::Tensor poster_frame(Random& random, int64_t height, int64_t width, int64_t num_colors) {
  const auto colors = random_frame(random, num_colors, 1).reshape({num_colors, 3});
  auto frame = at::empty({height, width, 3}, at::kByte);
  for (int64_t row = 0; row < height; ++row)
    for (int64_t column = 0; column < width; ++column) frame[row][column].copy_(colors[random.below(num_colors)]);
  return frame;
}

struct Gif {
  std::vector<at::Tensor> frames;
  std::vector<int> delays;  // 1/100 s
  bool loops = false;
};

Gif read_gif(const std::string& path) {
  int error = 0;
  GifFileType* file = DGifOpenFileName(path.c_str(), &error);
  if (file == nullptr || DGifSlurp(file) != GIF_OK) throw std::runtime_error("giflib cannot read " + path);
  Gif gif;
  for (int i = 0; i < file->ImageCount; ++i) {
    const SavedImage& image = file->SavedImages[i];
    auto frame = at::empty({image.ImageDesc.Height, image.ImageDesc.Width, 3}, at::kByte);
    for (int64_t pixel = 0; pixel < frame.numel() / 3; ++pixel) {
      const GifColorType& color = file->SColorMap->Colors[image.RasterBits[pixel]];
      uint8_t* rgb = frame.data_ptr<uint8_t>() + 3 * pixel;
      rgb[0] = color.Red, rgb[1] = color.Green, rgb[2] = color.Blue;
    }
    gif.frames.push_back(frame);
    GraphicsControlBlock control{};
    if (DGifSavedExtensionToGCB(file, i, &control) == GIF_OK) gif.delays.push_back(control.DelayTime);
    for (int block = 0; block < image.ExtensionBlockCount; ++block) {
      const ExtensionBlock& extension = image.ExtensionBlocks[block];
      if (extension.ByteCount == 11 && std::equal(extension.Bytes, extension.Bytes + 11, "NETSCAPE2.0")) gif.loops = true;
    }
  }
  DGifCloseFile(file, &error);
  return gif;
}

TEST(Pictures, PngIsExact) {
  Random random(1);
  const TemporaryFolder folder;
  const std::string path = folder / "picture.png";
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {7, 3}, {40, 61}}) {
    const auto frame = random_frame(random, height, width);
    write_png(path, frame);
    const cv::Mat image = cv::imread(path, cv::IMREAD_COLOR);  // blue first
    ASSERT_EQ(image.rows, height);
    ASSERT_EQ(image.cols, width);
    const auto read = at::from_blob(image.data, {height, width, 3}, at::kByte).flip(2);
    EXPECT_TRUE(at::equal(read, frame));
  }
}

TEST(Pictures, PngOfAViewIsExact) {
  Random random(2);
  const auto frame = random_frame(random, 12, 20).transpose(0, 1).slice(0, 2, 18, 3);
  const TemporaryFolder folder;
  const std::string path = folder / "view.png";
  write_png(path, frame);
  const cv::Mat image = cv::imread(path, cv::IMREAD_COLOR);
  EXPECT_TRUE(at::equal(at::from_blob(image.data, {image.rows, image.cols, 3}, at::kByte).flip(2), frame));
}

TEST(Pictures, GifOfFewColoursIsExact) {
  Random random(3);
  const TemporaryFolder folder;
  const std::string path = folder / "few.gif";
  std::vector<at::Tensor> frames;
  for (int i = 0; i < 6; ++i) frames.push_back(poster_frame(random, 33, 47, 42));  // 252 colours in all
  write_gif(path, frames, 80);
  const auto gif = read_gif(path);
  ASSERT_EQ(gif.frames.size(), frames.size());
  for (size_t i = 0; i < frames.size(); ++i) EXPECT_TRUE(at::equal(gif.frames[i], frames[i])) << "frame " << i;
  EXPECT_EQ(gif.delays, std::vector<int>(frames.size(), 8));
  EXPECT_TRUE(gif.loops);
}

TEST(Pictures, DelaysAreHundredthsAndAtLeastTwo) {
  Random random(4);
  const TemporaryFolder folder;
  const std::string path = folder / "delay.gif";
  const std::vector<at::Tensor> frames{random_frame(random, 4, 4)};
  for (const auto& [milliseconds, hundredths] :
       std::vector<std::pair<int, int>>{{0, 2}, {10, 2}, {44, 4}, {45, 5}, {1000, 100}}) {
    write_gif(path, frames, milliseconds);
    EXPECT_EQ(read_gif(path).delays, std::vector<int>{hundredths});
  }
}

// A colour ramp has more colours than a palette. A cube of 256^3 colours cut in 256 boxes of equal volume has boxes of side
// 40; a ramp through a plane of it needs far smaller ones: side 16 for 65,536 colours.
TEST(Pictures, GifOfManyColoursIsClose) {
  auto ramp = at::empty({256, 256, 3}, at::kByte);
  const auto line = at::arange(256, at::kByte);
  ramp.select(2, 0).copy_(line.unsqueeze(0).expand({256, 256}));
  ramp.select(2, 1).copy_(line.unsqueeze(1).expand({256, 256}));
  ramp.select(2, 2).fill_(90);
  const TemporaryFolder folder;
  const std::string path = folder / "ramp.gif";
  const std::vector<at::Tensor> frames{ramp, ramp.transpose(0, 1).contiguous()};
  write_gif(path, frames, 50);
  const auto gif = read_gif(path);
  ASSERT_EQ(gif.frames.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    const auto error = (gif.frames[i].to(at::kInt) - frames[i].to(at::kInt)).abs();
    EXPECT_LE(error.max().item<int>(), 24);
    EXPECT_LE(error.to(at::kDouble).mean().item<double>(), 16.0 / 4);  // a uniform error in a cell of side 16
  }
}

// A rare colour far away from the common ones keeps a place in the palette.
TEST(Pictures, RareColoursSurvive) {
  Random random(5);
  auto frame = random_frame(random, 200, 200).div(4, "floor") + 100;  // 64^3 greyish colours
  frame.narrow(0, 50, 4).narrow(1, 50, 4).copy_(at::tensor({250, 10, 10}, at::kByte).expand({4, 4, 3}));
  const TemporaryFolder folder;
  const std::string path = folder / "rare.gif";
  write_gif(path, std::vector<at::Tensor>{frame}, 50);
  const auto read = read_gif(path).frames.at(0)[51][51];
  EXPECT_TRUE(at::equal(read, at::tensor({250, 10, 10}, at::kByte))) << read;
}

TEST(Pictures, FilmstripPlacesFramesRowByRow) {
  Random random(6);
  std::vector<at::Tensor> frames;
  for (int i = 0; i < 5; ++i) frames.push_back(random_frame(random, 10, 16));
  const auto sheet = filmstrip(frames, 3);
  ASSERT_EQ(sheet.sizes(), (at::IntArrayRef{2 * 10 + 4, 3 * 16 + 2 * 4, 3}));
  int64_t in_frames = 0;
  for (int64_t i = 0; i < 5; ++i) {
    const auto place = sheet.narrow(0, i / 3 * 14, 10).narrow(1, i % 3 * 20, 16);
    EXPECT_TRUE(at::equal(place, frames[static_cast<size_t>(i)]));
    in_frames += frames[static_cast<size_t>(i)].sum().item<int64_t>();
  }
  const int64_t white = (sheet.numel() - 5 * 10 * 16 * 3) * 255;  // everything else
  EXPECT_EQ(sheet.sum().item<int64_t>(), in_frames + white);
  EXPECT_TRUE(at::equal(filmstrip(std::span(frames).first(1), 8), frames[0]));
}

template <class Call>
Error error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return Error("nothing was thrown", "");
}

TEST(Pictures, DiskTroubleNamesTheFile) {
  Random random(7);
  const auto frame = random_frame(random, 4, 4);
  const TemporaryFolder folder;
  const std::string missing = folder / "no-such-folder/picture", taken = folder.path();
  for (const auto& path : {missing, taken}) {
    EXPECT_THAT(error_of([&] { write_png(path, frame); }).what(), HasSubstr(path));
    EXPECT_THAT(error_of([&] { write_gif(path, {&frame, 1}, 50); }).what(), HasSubstr(path));
  }
  EXPECT_THAT(error_of([&] { write_png(missing, frame); }).what(), HasSubstr("No such file or directory"));
  EXPECT_TRUE(std::filesystem::is_directory(taken));
}

TEST(Pictures, WrongFramesAreTheUsersError) {
  Random random(8);
  const auto frame = random_frame(random, 4, 4);
  const TemporaryFolder folder;
  const std::string path = folder / "wrong";
  for (const auto& wrong :
       {at::Tensor(), frame.to(at::kFloat), frame.select(2, 0), frame.narrow(2, 0, 1), frame.narrow(0, 0, 0)}) {
    const auto error = error_of([&] { write_png(path, wrong); });
    EXPECT_THAT(error.what(), HasSubstr(path));
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THROW(write_gif(path, std::vector<at::Tensor>{frame, wrong}, 50), Error);
    EXPECT_THROW(filmstrip(std::vector<at::Tensor>{frame, wrong}, 2), Error);
  }
  EXPECT_THROW(write_gif(path, {}, 50), Error);
  EXPECT_THROW(write_gif(path, std::vector<at::Tensor>{frame, random_frame(random, 4, 5)}, 50), Error);
  EXPECT_THROW(write_gif(path, std::vector<at::Tensor>{at::zeros({1, 70'000, 3}, at::kByte)}, 50), Error);
  EXPECT_THROW(filmstrip({}, 2), Error);
  EXPECT_THROW(filmstrip(std::vector<at::Tensor>{frame}, 0), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "an error leaves no file";
}

}  // namespace
}  // namespace mugato::env
