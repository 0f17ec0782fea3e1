#include "mugato/data/minari_writer.h"

#include <nlohmann/json.hpp>

#include "minari_file.h"
#include "mugato/core/error.h"
#include "mugato/core/files.h"
#include "sources/python_json.h"

#if !MUGATO_HDF5
namespace mugato::data {

MinariTotals write_minari(env::Environment&, const MinariRecording& recording) {
  throw Error("'" + recording.folder.string() + "' would hold HDF5, and this mugato was built without it",
              "install libhdf5-dev (tools/setup does) and build again");
}

}  // namespace mugato::data
#else
namespace mugato::data {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kMinariVersion = "0.5.4";  // whose layout is written
constexpr size_t kMaxText = 4096;                // characters, for the space of texts

std::string printable_ascii() {
  std::string all;
  for (char c = ' '; c <= '~'; ++c) all += c;
  return all;
}

[[noreturn]] void refuse(const FieldSpec& field, const std::string& what) {
  throw Error("field '" + field.name + "' " + what + ": Minari's spaces have no such thing", "leave it out of the world");
}

// A nested list of this shape; entry i of the flat values is number(i).
template <class Number>
json nested(const std::vector<int64_t>& shape, const Number& number, size_t axis = 0, int64_t offset = 0) {
  if (axis == shape.size()) return number(offset);
  json list = json::array();
  for (int64_t i = 0; i < shape[axis]; ++i) list.push_back(nested(shape, number, axis + 1, offset * shape[axis] + i));
  return list;
}

template <class Low, class High>
json box(const char* dtype, const std::vector<int64_t>& shape, const Low& low, const High& high) {
  return {{"type", "Box"}, {"dtype", dtype}, {"shape", shape}, {"low", nested(shape, low)}, {"high", nested(shape, high)}};
}

json discrete_space(const FieldSpec& field) {
  const auto& counts = field.num_values;
  const auto last_value = [&](int64_t i) { return counts[static_cast<size_t>(i) % counts.size()] - 1; };
  if (field.cells) {
    for (const int64_t count : counts)
      if (count > 256) refuse(field, "has cells of more than 256 values");
    return box(
        "uint8", field.shape, [](int64_t) { return 0; }, last_value);
  }
  if (field.shape.empty()) return {{"type", "Discrete"}, {"dtype", "int64"}, {"start", 0}, {"n", counts[0]}};
  return {{"type", "MultiDiscrete"},
          {"dtype", "int64"},
          {"nvec", nested(field.shape, [&](int64_t) { return counts[0]; })},
          {"start", nested(field.shape, [](int64_t) { return 0; })}};
}

json space_of(const FieldSpec& field) {
  const auto bound = [&](const std::vector<double>& bounds, double of_mu_law) {
    return [&bounds, of_mu_law, mu_law = field.mu_law](int64_t i) {
      return json_of(mu_law ? of_mu_law : bounds[bounds.size() == 1 ? 0 : static_cast<size_t>(i)]);
    };
  };
  switch (field.modality) {
    case Modality::kText:
      return {{"type", "Text"}, {"max_length", kMaxText}, {"min_length", 0}, {"charset", printable_ascii()}};
    case Modality::kImage:
      if (field.shape.empty()) refuse(field, "holds pictures of several sizes");
      return box(
          "uint8", field.shape, [](int64_t) { return 0; }, [](int64_t) { return 255; });
    case Modality::kDiscrete:
      return discrete_space(field);
    case Modality::kContinuous:
      return box("float32", field.shape, bound(field.low, -INFINITY), bound(field.high, INFINITY));
  }
  TORCH_CHECK(false, "unknown modality");
}

// The fields of one side as leaves: of the observations a Dict; of the actions the one, or a Dict of several.
class Side {
 public:
  Side(const Schema& schema, bool written) : group_(written ? "actions" : "observations") {
    for (size_t i = 0; i < schema.fields.size(); ++i)
      if (schema.fields[i].is_target() == written) indices_.push_back(i);
    is_dict_ = !written || indices_.size() != 1;
    json subspaces = json::object();
    for (const size_t i : indices_) {
      if (schema.fields[i].name.find('/') != std::string::npos) refuse(schema.fields[i], "has a slash in its name");
      subspaces[schema.fields[i].name] = space_of(schema.fields[i]);
    }
    space_ = is_dict_ ? json{{"type", "Dict"}, {"subspaces", subspaces}} : subspaces.front();
  }

  std::string space() const { return python_json_text(space_); }

  // With `last`, a row more: what follows the last timestep.
  void add(const Schema& schema, const env::Recording& recording, const Observation* last, std::vector<Leaf>& leaves) const {
    for (const size_t i : indices_) {
      const auto& field = schema.fields[i];
      Leaf leaf{group_, is_dict_ ? field.name : "", recording.episode.fields[i].values, recording.episode.fields[i].text};
      if (last) append(field, *last, leaf);
      if (leaf.values.defined()) leaf.values = stored(field, leaf.values);
      for (const auto& text : leaf.text) check(field, text);
      leaves.push_back(std::move(leaf));
    }
  }

 private:
  static void append(const FieldSpec& field, const Observation& last, Leaf& leaf) {
    const auto found = last.find(field.name);
    const auto* values = found == last.end() ? nullptr : std::get_if<at::Tensor>(&found->second);
    const bool fits = found != last.end() && (values ? leaf.values.defined() && values->sizes() == leaf.values.sizes().slice(1)
                                                     : !leaf.values.defined());
    if (!fits)
      throw Error("field '" + field.name + "' is not observed, or otherwise than before, after the last timestep",
                  "step gives every field that is read, when the episode is done, too");
    if (values) leaf.values = at::cat({leaf.values, values->unsqueeze(0)});
    else leaf.text.push_back(std::get<std::string>(found->second));
  }

  static at::Tensor stored(const FieldSpec& field, const at::Tensor& values) {
    if (field.modality == Modality::kContinuous) return values.to(at::kFloat);
    if (field.modality == Modality::kDiscrete) return values.to(field.cells ? at::kByte : at::kLong);
    if (values.scalar_type() != at::kByte) refuse(field, "has pixels that are not uint8");
    auto sizes = field.shape;
    sizes.insert(sizes.begin(), values.size(0));
    return values.reshape(sizes);
  }

  static void check(const FieldSpec& field, const std::string& text) {
    if (text.size() > kMaxText || std::any_of(text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }))
      refuse(field,
             "holds a text of more than " + std::to_string(kMaxText) + " characters, or one that is not printable ASCII");
  }

  std::string group_;
  std::vector<size_t> indices_;
  bool is_dict_ = true;
  json space_;
};

json metadata_of(const env::Environment& world, const MinariRecording& recording, int64_t num_steps, const Side& observations,
                 const Side& actions, uintmax_t num_bytes) {
  const auto scores = world.reference_scores();
  return {{"total_episodes", recording.num_episodes},
          {"total_steps", num_steps},
          {"data_format", "hdf5"},
          {"jpeg_encoding", false},
          {"observation_space", observations.space()},
          {"action_space", actions.space()},
          {"dataset_size", std::round(static_cast<double>(num_bytes) / 1e5) / 10.0},
          {"dataset_id", "mugato/" + recording.world + "/expert-v0"},
          {"algorithm_name", "expert"},
          {"author", {"mugato"}},
          {"description", "The built-in expert of mugato's world " + recording.world + ", training seeds from " +
                              std::to_string(recording.first_seed) + " on"},
          {"minari_version", kMinariVersion},
          {"ref_min_score", scores.random},
          {"ref_max_score", scores.expert},
          {"num_episodes_average_score", 100}};
}

}  // namespace

MinariTotals write_minari(env::Environment& world, const MinariRecording& recording) {
  if (recording.num_episodes < 1) throw Error("a data set needs an episode", "record one or more");
  if (fs::exists(recording.folder))
    throw Error("'" + recording.folder.string() + "' is there already", "remove it, or choose another folder");
  const Schema& schema = world.schema();
  const Side observations(schema, /*written=*/false), actions(schema, /*written=*/true);
  FolderTransaction transaction(recording.folder);
  const auto data = transaction.folder() / "data";
  make_folders(data);
  MinariFile file(data / "main_data.hdf5");
  MinariTotals totals;
  for (int64_t i = 0; i < recording.num_episodes; ++i) {
    const uint64_t seed = env::train_seed(recording.first_seed + static_cast<uint64_t>(i));
    MinariEpisode episode{.seed = static_cast<int64_t>(seed)};
    auto played = env::record(world, seed);
    observations.add(schema, played, &played.last, episode.leaves);
    actions.add(schema, played, nullptr, episode.leaves);
    episode.rewards = played.episode.rewards;
    episode.is_truncated = played.episode.num_steps >= world.max_steps() && !played.episode.success;
    file.append(episode);
    totals.num_steps += played.episode.num_steps;
    totals.mean_return += played.episode.total_return / static_cast<double>(recording.num_episodes);
  }
  file.close();
  const auto num_bytes = fs::file_size(data / "main_data.hdf5");
  const auto metadata = metadata_of(world, recording, totals.num_steps, observations, actions, num_bytes);
  transaction.write("data/metadata.json", metadata.dump());
  transaction.commit();
  return totals;
}

}  // namespace mugato::data
#endif
