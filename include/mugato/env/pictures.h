// Pictures and animations on disk, for people. A frame is a uint8 tensor (H,W,3), red first. Files appear whole or not at all
// (core/files.h).
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <span>
#include <string>

namespace mugato::env {

// Writes a PNG (lossless), whatever the name's ending. Throws Error with the file's name when the tensor is not a frame or the
// file cannot be written; failures of the machine have kind kFailure.
void write_png(const std::string& path, const at::Tensor& frame);

// Writes a GIF that loops for ever. All frames share one palette: exact up to 256 colours, else chosen by median cut at 5 bits
// per channel. The format counts time in hundredths of a second, and viewers distrust less than two: the duration is rounded
// to 10 ms and at least 20. Throws Error like write_png, and when there is no frame or frames differ in size.
void write_gif(const std::string& path, std::span<const at::Tensor> frames, int milliseconds_per_frame);

// The frames row by row in a sheet of `columns` columns, white lines of 4 pixels between them: uint8 (H',W',3). Places without
// a frame are white. Throws Error when there is no frame or frames differ in size, columns < 1.
at::Tensor filmstrip(std::span<const at::Tensor> frames, int columns);

}  // namespace mugato::env
