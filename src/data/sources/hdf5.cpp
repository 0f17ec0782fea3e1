#include "hdf5.h"

#if MUGATO_HDF5
#include <cstring>
#include <vector>

#include "mugato/core/error.h"
#include "python_json.h"

namespace mugato::data::hdf5 {
namespace {

using nlohmann::json;

// The library has one state for the whole process, and so there is one lock.
std::mutex& mutex_of_library() {
  static std::mutex mutex;
  return mutex;
}

constexpr hsize_t kMaxAttributeBytes = 64 << 20;

class AttributeReader {
 public:
  AttributeReader(hid_t attribute, std::string where)
      : where_(std::move(where)),
        attribute_(attribute),
        type_(H5Aget_type(attribute), H5Tclose),
        space_(H5Aget_space(attribute), H5Sclose) {}

  json read() {
    if (!type_ || !space_) fail(reason());
    const hssize_t count = H5Sget_simple_extent_npoints(space_.get());
    const auto kind = H5Sget_simple_extent_type(space_.get());
    if (kind == H5S_NULL) return nullptr;
    if (count < 0 || static_cast<hsize_t>(count) * H5Tget_size(type_.get()) > kMaxAttributeBytes) fail("it is too large");
    json values = values_of(static_cast<size_t>(count));
    return kind == H5S_SCALAR ? values.at(0) : values;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(where_ + " cannot be read: " + why, "was the file written by another version of its package?");
  }

  json values_of(size_t count) {
    switch (H5Tget_class(type_.get())) {
      case H5T_INTEGER:
        return H5Tget_sign(type_.get()) == H5T_SGN_NONE ? numbers<uint64_t>(H5T_NATIVE_UINT64, count)
                                                        : numbers<int64_t>(H5T_NATIVE_INT64, count);
      case H5T_FLOAT:
        return numbers<double>(H5T_NATIVE_DOUBLE, count);
      case H5T_ENUM:
        return booleans(count);
      case H5T_STRING:
        return H5Tis_variable_str(type_.get()) > 0 ? variable_strings(count) : fixed_strings(count);
      default:
        fail("it is neither a number nor a string nor a boolean");
    }
  }

  template <class Number>
  json numbers(hid_t memory_type, size_t count) {
    std::vector<Number> numbers(count);
    read_into(memory_type, numbers.data());
    json values = json::array();
    for (const Number number : numbers) {
      if constexpr (std::is_floating_point_v<Number>) values.push_back(json_of(number));
      else values.push_back(number);
    }
    return values;
  }

  json booleans(size_t count) {
    if (!is_bool(type_.get())) fail("it is an enumeration");
    std::vector<int8_t> bytes(count);
    read_into(type_.get(), bytes.data());
    json values = json::array();
    for (const int8_t byte : bytes) values.push_back(byte != 0);
    return values;
  }

  json variable_strings(size_t count) {
    std::vector<char*> texts(count, nullptr);
    read_into(type_.get(), texts.data());
    json values = json::array();
    for (const char* text : texts) values.push_back(text ? text : "");
    H5Dvlen_reclaim(type_.get(), space_.get(), H5P_DEFAULT, texts.data());
    return values;
  }

  json fixed_strings(size_t count) {
    const size_t size = H5Tget_size(type_.get());
    std::vector<char> bytes(count * size);
    read_into(type_.get(), bytes.data());
    json values = json::array();
    for (size_t i = 0; i < count; ++i) values.push_back(std::string(&bytes[i * size], ::strnlen(&bytes[i * size], size)));
    return values;
  }

  void read_into(hid_t memory_type, void* out) const {
    if (H5Aread(attribute_, memory_type, out) < 0) fail(reason());
  }

  std::string where_;
  hid_t attribute_;
  Handle type_, space_;
};

// json["a"]["b"] for "a/b", as Minari takes names apart.
json& place_of(json& attributes, const std::string& name, const std::string& where) {
  json* place = &attributes;
  for (size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
    end = name.find('/', begin);
    if (!place->is_object() && !place->is_null())
      throw Error(where + ": its attribute '" + name + "' is both a value and a group", "was the file written by Minari?");
    place = &(*place)[name.substr(begin, end == std::string::npos ? end : end - begin)];
  }
  return *place;
}

// A list of properties for opening what lies within a file. Making one takes longer than opening with it, so each is made once
// and left to the library's own end.
hid_t access_within_file(hid_t kind) {
  const hid_t access = H5Pcreate(kind);
  H5Pset_elink_cb(
      access, [](const char*, const char*, const char*, const char*, unsigned*, hid_t, void*) -> herr_t { return -1; },
      nullptr);
  return access;
}

}  // namespace

Lock::Lock() : lock_(mutex_of_library()) { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

std::string reason() {
  std::string innermost;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned number, const H5E_error2_t* error, void* out) -> herr_t {
        if (number == 0 && error->desc) *static_cast<std::string*>(out) = error->desc;
        return 0;
      },
      &innermost);
  return innermost.empty() ? "the HDF5 library does not say why" : innermost;
}

Handle open_file(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) throw Error("there is no file '" + path.string() + "'", "check the path");
  Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file)
    throw Error("'" + path.string() + "' cannot be opened as HDF5: " + reason(), "was the file copied whole? copy it again");
  return file;
}

Handle open_group(hid_t parent, const std::string& path) {
  static const hid_t access = access_within_file(H5P_GROUP_ACCESS);
  return {H5Gopen2(parent, path.c_str(), access), H5Gclose};
}

Handle open_dataset(hid_t parent, const std::string& path) {
  static const hid_t access = access_within_file(H5P_DATASET_ACCESS);
  return {H5Dopen2(parent, path.c_str(), access), H5Dclose};
}

Handle open_attribute(hid_t parent, const std::string& object, const std::string& name) {
  static const hid_t access = access_within_file(H5P_LINK_ACCESS);
  return {H5Aopen_by_name(parent, object.c_str(), name.c_str(), H5P_DEFAULT, access), H5Aclose};
}

bool has_values_elsewhere(const Handle& creation) {
  return H5Pget_layout(creation.get()) == H5D_VIRTUAL || H5Pget_external_count(creation.get()) != 0;
}

bool is_bool(hid_t type) {
  if (H5Tget_class(type) != H5T_ENUM || H5Tget_size(type) != 1 || H5Tget_nmembers(type) != 2) return false;
  int8_t no = -1, yes = -1;
  return H5Tenum_valueof(type, "FALSE", &no) >= 0 && H5Tenum_valueof(type, "TRUE", &yes) >= 0 && no == 0 && yes == 1;
}

json attributes_of(hid_t object, const std::string& where) {
  std::vector<std::string> names;
  hsize_t begin = 0;
  const herr_t status = H5Aiterate2(
      object, H5_INDEX_NAME, H5_ITER_INC, &begin,
      [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
        static_cast<std::vector<std::string>*>(out)->emplace_back(name);
        return 0;
      },
      &names);
  if (status < 0) throw Error(where + ": its attributes cannot be read: " + reason(), "copy the file again");
  json attributes = json::object();
  for (const auto& name : names) {
    const std::string what = where + ": its attribute '" + name + "'";
    const Handle attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose);
    if (!attribute) throw Error(what + " cannot be read: " + reason(), "copy the file again");
    place_of(attributes, name, where) = AttributeReader(attribute.get(), what).read();
  }
  return attributes;
}

}  // namespace mugato::data::hdf5
#endif
