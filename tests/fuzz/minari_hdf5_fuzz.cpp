// A Minari data set in HDF5, changed by HDF5's own library: the input says which objects are removed, moved, linked or replaced
// by others of any type and shape, so that the file is sound and its content is not.
#include <hdf5.h>

#include "reading.h"
#include "src/data/sources/hdf5.h"

namespace mugato::fuzz {
namespace {

using data::hdf5::Handle;

constexpr const char* kSets[] = {"control/pendulum/expert-v0", "babyai/gotolocal/bot-v0", "babyai/gotolocal-rgb/bot-v0",
                                 "babyai/gotolocal-rgb-raw/bot-v0"};
constexpr const char* kFile = "data/main_data.hdf5";

// A file in memory.
class File {
 public:
  explicit File(std::string bytes) {
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_fapl_core(access.get(), 1 << 16, /*backing_store=*/false);
    H5Pset_file_image(access.get(), bytes.data(), bytes.size());
    file_ = {H5Fopen("image", H5F_ACC_RDWR, access.get()), H5Fclose};
    TORCH_CHECK(file_, "a fixture cannot be opened");
  }

  hid_t get() const { return file_.get(); }

  std::string image() const {
    H5Fflush(file_.get(), H5F_SCOPE_GLOBAL);
    std::string bytes(static_cast<size_t>(std::max<ssize_t>(H5Fget_file_image(file_.get(), nullptr, 0), 0)), '\0');
    H5Fget_file_image(file_.get(), bytes.data(), bytes.size());
    return bytes;
  }

 private:
  Handle file_;
};

// Groups and datasets of the first two episodes.
std::vector<std::string> objects_of(const std::string& bytes) {
  const File file(bytes);
  std::vector<std::string> names;
  H5Ovisit2(
      file.get(), H5_INDEX_NAME, H5_ITER_INC,
      [](hid_t, const char* name, const H5O_info_t*, void* out) -> herr_t {
        const std::string object = name;
        if (object.starts_with("episode_0") || object.starts_with("episode_1"))
          static_cast<std::vector<std::string>*>(out)->push_back(object);
        return 0;
      },
      &names, H5O_INFO_BASIC);
  return names;
}

Handle make_type(Input& input, int depth = 0) {
  const hid_t known[] = {H5T_NATIVE_INT8,    H5T_NATIVE_UINT8, H5T_STD_I16BE,     H5T_NATIVE_UINT16, H5T_NATIVE_INT32,
                         H5T_STD_U32BE,      H5T_NATIVE_INT64, H5T_NATIVE_UINT64, H5T_NATIVE_FLOAT,  H5T_IEEE_F64BE,
                         H5T_NATIVE_LDOUBLE, H5T_STD_B8LE,     H5T_STD_REF_OBJ,   H5T_UNIX_D32LE};
  const size_t kind = input.below(std::size(known) + 8);
  if (kind < std::size(known)) return {H5Tcopy(known[kind]), H5Tclose};
  const auto size = 1 + input.below(9);
  const Handle inner = depth < 2 ? make_type(input, depth + 1) : Handle(H5Tcopy(H5T_NATIVE_UINT8), H5Tclose);
  Handle type;
  switch (kind - std::size(known)) {
    case 0:
      type = {H5Tcopy(H5T_C_S1), H5Tclose};
      H5Tset_size(type.get(), input.flag() ? H5T_VARIABLE : size);
      if (input.flag()) H5Tset_cset(type.get(), H5T_CSET_UTF8);
      break;
    case 1:
      type = {H5Tcreate(H5T_OPAQUE, size), H5Tclose};
      break;
    case 2:
      type = {H5Tvlen_create(inner.get()), H5Tclose};
      break;
    case 3: {
      const hsize_t sizes[] = {size, 2};
      type = {H5Tarray_create2(inner.get(), input.flag() ? 1 : 2, sizes), H5Tclose};
      break;
    }
    case 4:
      type = {H5Tcreate(H5T_COMPOUND, 2 * H5Tget_size(inner.get())), H5Tclose};
      H5Tinsert(type.get(), "bytes", 0, inner.get());
      H5Tinsert(type.get(), "path", H5Tget_size(inner.get()), inner.get());
      break;
    case 5:
      type = {H5Tenum_create(H5T_NATIVE_INT8), H5Tclose};
      for (const char* name : {"FALSE", "TRUE"}) {
        const auto value = input.number<int8_t>();
        H5Tenum_insert(type.get(), name, &value);
      }
      break;
    case 6:
      type = {H5Tcopy(H5T_NATIVE_INT64), H5Tclose};
      H5Tset_precision(type.get(), 8 * size - 3);
      H5Tset_size(type.get(), size);
      break;
    default:
      type = {H5Tcopy(H5T_NATIVE_FLOAT), H5Tclose};
      H5Tset_fields(type.get(), 15, 10, 5, 0, 10);
      H5Tset_size(type.get(), 2);
  }
  return type ? std::move(type) : Handle(H5Tcopy(H5T_NATIVE_INT64), H5Tclose);
}

std::vector<hsize_t> make_shape(Input& input, bool large) {
  constexpr hsize_t kSizes[] = {0, 1, 2, 3, 4, 5, 7, 22, 64, 200, 1 << 20, hsize_t{1} << 40, hsize_t{1} << 62};
  std::vector<hsize_t> shape(input.below(6));
  for (auto& size : shape) size = kSizes[input.below(std::size(kSizes) - (large ? 0 : 4))];
  return shape;
}

Handle make_space(const std::vector<hsize_t>& shape, Input& input) {
  if (shape.empty()) return {H5Screate(input.flag() ? H5S_SCALAR : H5S_NULL), H5Sclose};
  return {H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose};
}

bool has_pointers(hid_t type) {
  return H5Tdetect_class(type, H5T_VLEN) > 0 || H5Tis_variable_str(type) > 0 || H5Tdetect_class(type, H5T_STRING) > 0 ||
         H5Tdetect_class(type, H5T_REFERENCE) > 0;
}

// So many bytes, by repeating a few.
std::string make_values(size_t count, Input& input) {
  const std::string pattern(input.take(1 + input.below(32)));
  std::string values(count, '\0');
  for (size_t i = 0; i < count && !pattern.empty(); ++i) values[i] = pattern[i % pattern.size()];
  return values;
}

// Values for a type, written by `write`, where they are few.
template <class Write>
void write_values(hid_t type, hid_t space, Input& input, const Write& write) {
  const auto count = H5Sget_simple_extent_npoints(space);
  if (count < 1 || count > 1 << 16) return;
  if (!has_pointers(type)) {
    write(make_values(static_cast<size_t>(count) * H5Tget_size(type), input).data());
  } else if (H5Tis_variable_str(type) > 0) {
    const auto text = make_values(20, input);
    const std::vector<const char*> texts(static_cast<size_t>(count), text.c_str());
    write(texts.data());
  } else if (H5Tget_class(type) == H5T_VLEN && !has_pointers(Handle(H5Tget_super(type), H5Tclose).get())) {
    const Handle base(H5Tget_super(type), H5Tclose);
    auto bytes = make_values(input.below(200) * H5Tget_size(base.get()), input);
    const std::vector<hvl_t> rows(static_cast<size_t>(count), {bytes.size() / H5Tget_size(base.get()), bytes.data()});
    write(rows.data());
  }
}

void replace(hid_t file, const std::string& name, Input& input) {
  const auto shape = make_shape(input, /*large=*/true);
  const Handle type = make_type(input), space = make_space(shape, input);
  const Handle layout(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const std::vector<hsize_t> chunk(shape.size(), 1 + input.below(40));
  const auto storage = input.below(5);
  if (storage == 1 && !shape.empty()) H5Pset_chunk(layout.get(), static_cast<int>(chunk.size()), chunk.data());
  if (storage == 2 && !shape.empty()) {
    H5Pset_chunk(layout.get(), static_cast<int>(chunk.size()), chunk.data());
    H5Pset_deflate(layout.get(), 1);
  }
  if (storage == 3) H5Pset_layout(layout.get(), H5D_COMPACT);
  if (storage == 4) H5Pset_external(layout.get(), "metadata.json", 0, H5F_UNLIMITED);
  H5Ldelete(file, name.c_str(), H5P_DEFAULT);
  const Handle dataset(H5Dcreate2(file, name.c_str(), type.get(), space.get(), H5P_DEFAULT, layout.get(), H5P_DEFAULT),
                       H5Dclose);
  if (!dataset || storage == 4) return;
  write_values(type.get(), space.get(), input,
               [&](const void* values) { H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values); });
}

void set_attribute(hid_t file, const std::string& name, Input& input) {
  const char* attribute = input.one_of(std::to_array({"total_steps", "id", "seed", "options/a", "options", ""}));
  const Handle object(H5Oopen(file, name.c_str(), H5P_DEFAULT), H5Oclose);
  if (!object) return;
  H5Adelete(object.get(), attribute);
  const Handle type = make_type(input), space = make_space(make_shape(input, /*large=*/false), input);
  const Handle made(H5Acreate2(object.get(), attribute, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (made) write_values(type.get(), space.get(), input, [&](const void* values) { H5Awrite(made.get(), type.get(), values); });
}

// Other values in the shape and the type that are there.
void overwrite(hid_t file, const std::string& name, Input& input) {
  const auto dataset = data::hdf5::open_dataset(file, name);
  if (!dataset) return;
  const auto type = data::hdf5::type_of(dataset), space = data::hdf5::space_of(dataset);
  write_values(type.get(), space.get(), input,
               [&](const void* values) { H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values); });
}

void edit(hid_t file, const std::vector<std::string>& objects, Input& input) {
  const auto &name = input.one_of(objects), &other = input.one_of(objects);
  switch (input.below(9)) {
    case 0:
      H5Ldelete(file, name.c_str(), H5P_DEFAULT);
      break;
    case 1:
      H5Ldelete(file, other.c_str(), H5P_DEFAULT);
      H5Lmove(file, name.c_str(), file, other.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 2:
      H5Ldelete(file, other.c_str(), H5P_DEFAULT);
      H5Lcreate_hard(file, name.c_str(), file, other.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 3:
      H5Ldelete(file, other.c_str(), H5P_DEFAULT);
      H5Lcreate_soft(("/" + name).c_str(), file, other.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 4:
      H5Ldelete(file, other.c_str(), H5P_DEFAULT);
      H5Lcreate_external("main_data.hdf5", name.c_str(), file, other.c_str(), H5P_DEFAULT, H5P_DEFAULT);
      break;
    case 5:
      replace(file, name, input);
      break;
    case 6:
      set_attribute(file, name, input);
      break;
    case 7:
      overwrite(file, name, input);
      break;
    default: {
      const auto type = make_type(input);
      H5Ldelete(file, name.c_str(), H5P_DEFAULT);
      if (input.flag()) Handle(H5Gcreate2(file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
      else H5Tcommit2(file, name.c_str(), type.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    }
  }
}

struct Set {
  explicit Set(const std::string& id) : folder("minari/" + id), whole(read_file(folder / kFile)), objects(objects_of(whole)) {}
  Folder folder;
  std::string whole;
  std::vector<std::string> objects;
};

}  // namespace

void fuzz(Input input) {
  constexpr int kMostEdits = 16;
  static const std::vector<std::unique_ptr<Set>> sets = [] {
    const data::hdf5::Lock lock;
    std::vector<std::unique_ptr<Set>> made;
    for (const char* id : kSets) made.push_back(std::make_unique<Set>(id));
    return made;
  }();
  const auto& set = *input.one_of(sets);
  {
    const data::hdf5::Lock lock;
    const File file(set.whole);
    for (int i = 0; i < kMostEdits && !input.empty(); ++i) edit(file.get(), set.objects, input);
    set.folder.write(kFile, file.image());
  }
  read_source(entry_of("minari", {.path = set.folder.path()}));
}

}  // namespace mugato::fuzz
