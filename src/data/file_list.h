// The files that a path of the configuration names.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mugato::data {

// Of "data/{00000..00099}.tar" the files that the braces name (numbers, padded with zeros where the range is, or a list {a,b}),
// of "data/*.tar" those that match, sorted; several such paths are separated by "::". The order is that of the path. Throws
// Error for a path that names no file, one file twice, or more than a million.
std::vector<std::filesystem::path> list_files(const std::string& path);

}  // namespace mugato::data
