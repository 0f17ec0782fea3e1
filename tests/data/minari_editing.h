// Minari data sets, changed by hand: what other versions wrote, and what is broken.
#pragma once

#include <gtest/gtest.h>
#include <hdf5.h>

#include "minari_helpers.h"
#include "temporary_folder.h"

namespace mugato::data::testing {

// A copy of a fixture whose file can be changed until it is read.
class EditedSet {
 public:
  explicit EditedSet(const std::string& id) {
    std::filesystem::copy(minari_fixture(id) / "data", folder_ / "data", std::filesystem::copy_options::recursive);
  }

  std::filesystem::path path() const { return folder_.path(); }
  std::filesystem::path file() const { return folder_ / "data/main_data.hdf5"; }
  std::filesystem::path metadata() const { return folder_ / "data/metadata.json"; }

  void change_metadata(const std::function<void(nlohmann::json&)>& change) const {
    auto json = read_json(metadata());
    change(json);
    write_text(metadata(), json.dump());
  }

  void remove(const std::string& name) const {
    with_file([&](hid_t file) { EXPECT_GE(H5Ldelete(file, name.c_str(), H5P_DEFAULT), 0) << name; });
  }

  void set_attribute(const std::string& object, const std::string& name, int64_t value) const {
    with_file([&](hid_t file) { EXPECT_GE(H5Adelete_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT), 0); });
    add_attribute(object, name, H5T_NATIVE_INT64, &value);
  }

  void add_attribute(const std::string& object, const std::string& name, hid_t type, const void* value) const {
    with_file([&](hid_t file) {
      const hid_t target = H5Oopen(file, object.c_str(), H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
      const hid_t attribute = H5Acreate2(target, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT);
      EXPECT_GE(H5Awrite(attribute, type, value), 0);
      H5Aclose(attribute);
      H5Sclose(space);
      H5Oclose(target);
    });
  }

  void add_attribute(const std::string& object, const std::string& name, const std::string& value) const {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const char* text = value.c_str();
    add_attribute(object, name, type, &text);
    H5Tclose(type);
  }

  // Puts a dataset in the place of another; without values it is chunked and has none in the file.
  void replace(const std::string& name, hid_t type, const std::vector<hsize_t>& sizes, const void* values) const {
    remove(name);
    with_file([&](hid_t file) {
      const hid_t space = H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr);
      const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
      const std::vector<hsize_t> chunk(sizes.size(), 1);
      if (!values) H5Pset_chunk(layout, static_cast<int>(chunk.size()), chunk.data());
      const hid_t dataset = H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, layout, H5P_DEFAULT);
      EXPECT_GE(dataset, 0);
      if (values) {
        EXPECT_GE(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
      }
      H5Dclose(dataset);
      H5Pclose(layout);
      H5Sclose(space);
    });
  }

  // Rows of bytes of different lengths, as JPEGs are stored.
  void replace_by_rows(const std::string& name, const std::vector<std::string>& rows) const {
    const hid_t type = H5Tvlen_create(H5T_NATIVE_UINT8);
    std::vector<hvl_t> pointers;
    for (const auto& row : rows) pointers.push_back({row.size(), const_cast<char*>(row.data())});
    replace(name, type, {rows.size()}, pointers.data());
    H5Tclose(type);
  }

  std::vector<std::string> rows(const std::string& name) const {
    std::vector<std::string> rows;
    with_file([&](hid_t file) {
      const hid_t dataset = H5Dopen2(file, name.c_str(), H5P_DEFAULT), type = H5Dget_type(dataset);
      const hid_t space = H5Dget_space(dataset);
      std::vector<hvl_t> pointers(static_cast<size_t>(H5Sget_simple_extent_npoints(space)));
      EXPECT_GE(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()), 0);
      for (const auto& row : pointers) rows.emplace_back(static_cast<const char*>(row.p), row.len);
      H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
      H5Sclose(space);
      H5Tclose(type);
      H5Dclose(dataset);
    });
    return rows;
  }

 private:
  void with_file(const std::function<void(hid_t)>& action) const {
    const hid_t opened = H5Fopen(file().c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    ASSERT_GE(opened, 0);
    action(opened);
    H5Fclose(opened);
  }

  mugato::testing::TemporaryFolder folder_;
};

}  // namespace mugato::data::testing
