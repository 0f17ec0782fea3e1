// Files of captions of images.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "../text_pool.h"

namespace mugato::data {

struct Captions {
  TextNumbers images;           // names of files, relative to the folder of the images
  std::vector<uint32_t> image;  // of every caption
  TextPool texts;               // the captions, in the order of the file
};

// Told apart by the extension of the file:
//   .jsonl            an object a line with "file_name" and `text` (by default "text"), a text or a list of texts
//   .json             COCO: {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}; `text` names "caption"
//   .csv, .tsv, .txt  a table with a column file_name, image or image_name, and `text` (by default text or caption)
// Throws Error with the file and the line or record for what is missing, and for a caption of an image that is not listed.
Captions read_captions(const std::filesystem::path& file, const std::string& text);

}  // namespace mugato::data
