// The little of HDF5's C interface that reading and writing data sets needs. Compiled where the library was found.
#pragma once

#if MUGATO_HDF5
#include <hdf5.h>

#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace mugato::data::hdf5 {

// Whoever calls the library, or closes something of it, holds this: it may be built to be called from one thread alone, and
// where it is not it locks itself as a whole. It prints nothing meanwhile: reason() has its words.
class Lock {
 public:
  Lock();

 private:
  std::scoped_lock<std::mutex> lock_;
};

// What the library says about the last call that failed.
std::string reason();

// Closes what it holds. Below 0: opening failed.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  explicit operator bool() const { return id_ >= 0; }
  hid_t get() const { return id_; }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

// Throws Error with the file and the library's reason.
Handle open_file(const std::filesystem::path& path);

// A file may say that a part of it is in another file of the machine: such links are not followed, they fail.
Handle open_group(hid_t parent, const std::string& path);
Handle open_dataset(hid_t parent, const std::string& path);
Handle open_attribute(hid_t parent, const std::string& object, const std::string& name);

// How a dataset was made: its layout, its filters.
inline Handle creation_of(const Handle& dataset) { return {H5Dget_create_plist(dataset.get()), H5Pclose}; }

// Whether the values of a dataset that was made like this are in other files.
bool has_values_elsewhere(const Handle& creation);

inline Handle type_of(const Handle& dataset) { return {H5Dget_type(dataset.get()), H5Tclose}; }
inline Handle space_of(const Handle& dataset) { return {H5Dget_space(dataset.get()), H5Sclose}; }

// Whether a type is h5py's boolean: the enumeration {FALSE, TRUE} over one byte.
bool is_bool(hid_t type);

// The attributes of a group as JSON; names with slashes become objects in objects. Numbers, strings and booleans, and lists of
// them; throws Error that begins with `where` for another type.
nlohmann::json attributes_of(hid_t object, const std::string& where);

}  // namespace mugato::data::hdf5
#endif
