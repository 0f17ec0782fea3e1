#include "minari_file.h"

#if MUGATO_HDF5
#include "mugato/core/error.h"

namespace mugato::data {
namespace {

using hdf5::Handle;

hid_t type_of(at::ScalarType type) {
  switch (type) {
    case at::kByte:
      return H5T_NATIVE_UINT8;
    case at::kLong:
      return H5T_NATIVE_INT64;
    case at::kFloat:
      return H5T_NATIVE_FLOAT;
    case at::kDouble:
      return H5T_NATIVE_DOUBLE;
    default:
      TORCH_CHECK(false, "a leaf of type ", type);
  }
}

// Writes into one group; a call that fails is an Error.
class GroupWriter {
 public:
  GroupWriter(hid_t group, const std::filesystem::path& path) : group_(group), path_(path) {}

  // h5py's boolean.
  Handle bool_type() const {
    Handle type = checked(H5Tenum_create(H5T_NATIVE_INT8), H5Tclose);
    constexpr int8_t kNo = 0, kYes = 1;
    check(H5Tenum_insert(type.get(), "FALSE", &kNo));
    check(H5Tenum_insert(type.get(), "TRUE", &kYes));
    return type;
  }

  void attribute(const std::string& name, hid_t type, const void* value) const {
    const Handle space = checked(H5Screate(H5S_SCALAR), H5Sclose);
    const Handle attribute = checked(H5Acreate2(group_, name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    check(H5Awrite(attribute.get(), type, value));
  }
  void attribute(const std::string& name, int64_t value) const { attribute(name, H5T_NATIVE_INT64, &value); }
  void attribute(const std::string& name, double value) const { attribute(name, H5T_NATIVE_DOUBLE, &value); }

  void dataset(const std::string& name, hid_t type, const std::vector<int64_t>& shape, const void* values) const {
    const std::vector<hsize_t> sizes(shape.begin(), shape.end());
    const Handle space = checked(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose);
    const Handle links = checked(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
    check(H5Pset_create_intermediate_group(links.get(), 1));
    const Handle dataset =
        checked(H5Dcreate2(group_, name.c_str(), type, space.get(), links.get(), H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
    check(H5Dwrite(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values));
  }

  void texts(const std::string& name, const std::vector<std::string>& texts) const {
    const Handle type = checked(H5Tcopy(H5T_C_S1), H5Tclose);
    check(H5Tset_size(type.get(), H5T_VARIABLE));
    check(H5Tset_cset(type.get(), H5T_CSET_UTF8));
    std::vector<const char*> pointers;
    for (const auto& text : texts) pointers.push_back(text.c_str());
    dataset(name, type.get(), {static_cast<int64_t>(texts.size())}, pointers.data());
  }

  void leaf(const Leaf& leaf) const {
    const std::string name = leaf.name.empty() ? leaf.group : leaf.group + "/" + leaf.name;
    if (!leaf.values.defined()) return texts(name, leaf.text);
    const auto values = leaf.values.contiguous();
    dataset(name, type_of(values.scalar_type()), values.sizes().vec(), values.const_data_ptr());
  }

  Handle group(const std::string& name) const {
    return checked(H5Gcreate2(group_, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  }

  // True at the last of `count` timesteps, or nowhere.
  void flags(const std::string& name, int64_t count, bool last) const {
    std::vector<int8_t> bytes(static_cast<size_t>(count), 0);
    bytes.back() = last;
    dataset(name, bool_type().get(), {count}, bytes.data());
  }

 private:
  void check(herr_t status) const {
    if (status < 0)
      throw Error("cannot write '" + path_.string() + "': " + hdf5::reason(), "is there space left?", Error::Kind::kFailure);
  }
  Handle checked(hid_t id, Handle::Close close) const {
    check(id < 0 ? -1 : 0);
    return {id, close};
  }

  hid_t group_;
  const std::filesystem::path& path_;
};

void write_statistics(const GroupWriter& group, const at::Tensor& rewards) {
  group.attribute("rewards_sum", rewards.sum().item<double>());
  group.attribute("rewards_mean", rewards.mean().item<double>());
  group.attribute("rewards_std", rewards.std(/*unbiased=*/false).item<double>());
  group.attribute("rewards_max", rewards.max().item<double>());
  group.attribute("rewards_min", rewards.min().item<double>());
}

}  // namespace

MinariFile::MinariFile(std::filesystem::path path) : path_(std::move(path)) {
  const hdf5::Lock lock;
  file_ = Handle(H5Fcreate(path_.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT), H5Fclose);
  if (!file_)
    throw Error("cannot write '" + path_.string() + "': " + hdf5::reason(), "check the folder", Error::Kind::kFailure);
}

MinariFile::~MinariFile() {
  const hdf5::Lock lock;
  file_ = {};
}

void MinariFile::append(const MinariEpisode& episode) {
  const hdf5::Lock lock;
  const auto number = num_episodes_++;
  const auto group = GroupWriter(file_.get(), path_).group("episode_" + std::to_string(number));
  const GroupWriter writer(group.get(), path_);
  const int64_t num_steps = episode.rewards.size(0);
  writer.attribute("id", number);
  writer.attribute("seed", episode.seed);
  writer.attribute("total_steps", num_steps);
  write_statistics(writer, episode.rewards);
  for (const auto& leaf : episode.leaves) writer.leaf(leaf);
  writer.leaf({.group = "rewards", .values = episode.rewards});
  writer.flags("terminations", num_steps, !episode.is_truncated);
  writer.flags("truncations", num_steps, episode.is_truncated);
  writer.group("infos");
}

void MinariFile::close() {
  const hdf5::Lock lock;
  if (H5Fflush(file_.get(), H5F_SCOPE_LOCAL) < 0)
    throw Error("cannot write '" + path_.string() + "': " + hdf5::reason(), "is there space left?", Error::Kind::kFailure);
  file_ = {};
}

}  // namespace mugato::data
#endif
