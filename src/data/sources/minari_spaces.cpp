#include "minari_spaces.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mugato/core/error.h"
#include "python_json.h"

namespace mugato::data {
namespace {

using nlohmann::json;

constexpr size_t kMaxDepth = 16;             // of nested spaces, and axes of a box
constexpr int64_t kMaxElements = 1LL << 28;  // of one timestep of a leaf
constexpr double kMaxDiscrete = 1024;        // values of a box of integers that is read as discrete (paper 2.1: [0, 1024))
constexpr double kUnbounded = 1e30;          // old versions of gym wrote the largest float for infinity
constexpr int64_t kMaxWhole = 1LL << 53;     // whole numbers up to here are exact in a double

// Reads one space; knows where it stands, for messages.
class SpaceReader {
 public:
  SpaceReader(const std::string& where, std::vector<SpaceLeaf>& leaves) : where_(where), leaves_(leaves) {}

  void read(const json& space) {
    if (path_.size() > kMaxDepth) refuse("is nested deeper than " + std::to_string(kMaxDepth) + " spaces");
    const std::string type = member(space, "type").is_string() ? space["type"].get<std::string>() : "";
    if (type == "Dict") return read_dict(member(space, "subspaces"));
    if (type == "Tuple") return read_tuple(member(space, "subspaces"));
    SpaceLeaf leaf{.path = path_};
    if (type == "Box") read_box(space, leaf);
    else if (type == "Discrete") read_discrete(space, leaf);
    else if (type == "MultiDiscrete") read_multi_discrete(space, leaf);
    else if (type == "MultiBinary") read_multi_binary(space, leaf);
    else if (type == "Text") leaf.kind = SpaceLeaf::Kind::kText;
    else refuse("is a space of the type '" + type + "', which Minari files cannot hold");
    leaves_.push_back(std::move(leaf));
  }

 private:
  std::string name() const {
    const std::string leaf = SpaceLeaf{.path = path_}.name();
    return leaf.empty() ? where_ : where_ + ", field '" + leaf + "'";
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(name() + " " + what, "spaces are Box, Discrete, MultiDiscrete, MultiBinary, Text, and Dict and Tuple of them");
  }

  const json& member(const json& space, const char* key) const {
    if (!space.is_object() || !space.contains(key)) refuse(std::string("has no '") + key + "'");
    return space[key];
  }

  void read_dict(const json& subspaces) {
    if (!subspaces.is_object()) refuse("is a Dict without named subspaces");
    for (const auto& [key, subspace] : subspaces.items()) descend({key, false}, subspace);
  }

  void read_tuple(const json& subspaces) {
    if (!subspaces.is_array()) refuse("is a Tuple without a list of subspaces");
    for (size_t i = 0; i < subspaces.size(); ++i) descend({std::to_string(i), true}, subspaces[i]);
  }

  void descend(SpaceLeaf::Key key, const json& subspace) {
    path_.push_back(std::move(key));
    read(subspace);
    path_.pop_back();
  }

  void read_box(const json& space, SpaceLeaf& leaf) const {
    leaf.kind = SpaceLeaf::Kind::kBox;
    if (!member(space, "dtype").is_string()) refuse("has a dtype that is no name");
    leaf.dtype = space["dtype"].get<std::string>();
    for (const auto& size : array(member(space, "shape"), "shape")) leaf.shape.push_back(whole(size, "shape", 0));
    check_shape(leaf);
    leaf.low = numbers(member(space, "low"), "low", leaf.shape);
    leaf.high = numbers(member(space, "high"), "high", leaf.shape);
  }

  void read_discrete(const json& space, SpaceLeaf& leaf) const {
    leaf.kind = SpaceLeaf::Kind::kDiscrete;
    const int64_t start = space.contains("start") ? whole(space["start"], "start", -kMaxWhole) : 0;
    leaf.low = {static_cast<double>(start)};
    leaf.high = {static_cast<double>(start + whole(member(space, "n"), "n", 1) - 1)};
  }

  // nvec is a list, or a nested one that gives the shape.
  void read_multi_discrete(const json& space, SpaceLeaf& leaf) const {
    leaf.kind = SpaceLeaf::Kind::kMultiDiscrete;
    for (const json* level = &member(space, "nvec"); level->is_array(); level = &level->front()) {
      leaf.shape.push_back(static_cast<int64_t>(level->size()));
      check_shape(leaf);
      if (level->empty()) break;
    }
    leaf.low = space.contains("start") ? numbers(space["start"], "start", leaf.shape) : std::vector<double>{0.0};
    leaf.high = numbers(space["nvec"], "nvec", leaf.shape);
    for (size_t i = 0; i < leaf.high.size(); ++i) leaf.high[i] += leaf.low[leaf.low.size() == 1 ? 0 : i] - 1.0;
    for (const auto& bounds : {leaf.low, leaf.high})
      for (const double bound : bounds)
        if (!(std::abs(bound) < static_cast<double>(kMaxWhole)) || bound != std::floor(bound))
          refuse("has an nvec or start that are no whole numbers");
  }

  void read_multi_binary(const json& space, SpaceLeaf& leaf) const {
    leaf.kind = SpaceLeaf::Kind::kMultiBinary;
    const json& n = member(space, "n");
    if (n.is_array())
      for (const auto& size : n) leaf.shape.push_back(whole(size, "n", 0));
    else leaf.shape.push_back(whole(n, "n", 0));
    check_shape(leaf);
    leaf.low = {0.0};
    leaf.high = {1.0};
  }

  void check_shape(const SpaceLeaf& leaf) const {
    if (leaf.shape.size() > kMaxDepth) refuse("has more than " + std::to_string(kMaxDepth) + " axes");
    int64_t product = 1;
    for (const int64_t size : leaf.shape) {
      if (size < 1) refuse("has an axis without elements");
      if (size > kMaxElements / product) refuse("has more than " + std::to_string(kMaxElements) + " elements");
      product *= size;
    }
  }

  const json& array(const json& value, const char* key) const {
    if (!value.is_array()) refuse(std::string("has a '") + key + "' that is no list");
    return value;
  }

  int64_t whole(const json& value, const char* key, int64_t least) const {
    if (!value.is_number_integer() || value.get<double>() < static_cast<double>(least) ||
        value.get<double>() > static_cast<double>(kMaxWhole))
      refuse(std::string("has a '") + key + "' that is no whole number from " + std::to_string(least) + " on");
    return value.get<int64_t>();
  }

  // A nested list of this shape, flat; or one number for all.
  std::vector<double> numbers(const json& value, const char* key, const std::vector<int64_t>& shape) const {
    std::vector<double> flat;
    if (!value.is_array()) flat.push_back(number_of(value, name() + ": its '" + key + "'"));
    else append_numbers(value, key, shape, 0, flat);
    return flat;
  }

  void append_numbers(const json& value, const char* key, const std::vector<int64_t>& shape, size_t axis,
                      std::vector<double>& flat) const {
    if (axis == shape.size()) return flat.push_back(number_of(value, name() + ": its '" + key + "'"));
    if (!value.is_array() || static_cast<int64_t>(value.size()) != shape[axis])
      refuse(std::string("has a '") + key + "' that is not of the space's shape");
    for (const auto& item : value) append_numbers(item, key, shape, axis + 1, flat);
  }

  const std::string& where_;
  std::vector<SpaceLeaf>& leaves_;
  std::vector<SpaceLeaf::Key> path_;
};

double lowest(const SpaceLeaf& leaf) { return *std::min_element(leaf.low.begin(), leaf.low.end()); }
double highest(const SpaceLeaf& leaf) { return *std::max_element(leaf.high.begin(), leaf.high.end()); }

bool has_integers(const SpaceLeaf& leaf) {
  return leaf.dtype.starts_with("int") || leaf.dtype.starts_with("uint") || leaf.dtype == "bool";
}

bool has_few_values(const SpaceLeaf& leaf) {
  return std::abs(lowest(leaf)) < static_cast<double>(kMaxWhole) && highest(leaf) - lowest(leaf) < kMaxDiscrete;
}

bool has_pixels(const SpaceLeaf& leaf) {
  const auto& shape = leaf.shape;
  const bool channels = shape.size() == 2 || (shape.size() == 3 && (shape[2] == 1 || shape[2] == 3 || shape[2] == 4));
  return leaf.dtype == "uint8" && channels && shape[0] >= 32 && shape[1] >= 32;
}

bool is_grid(const SpaceLeaf& leaf) { return leaf.dtype == "uint8" && leaf.shape.size() == 3 && leaf.shape[2] <= 4; }

// The number of values of every channel of a grid.
std::vector<int64_t> values_per_channel(const SpaceLeaf& leaf) {
  std::vector<int64_t> counts(static_cast<size_t>(leaf.shape[2]), 1);
  for (size_t c = 0; c < counts.size(); ++c)
    for (size_t i = leaf.high.size() == 1 ? 0 : c; i < leaf.high.size(); i += counts.size())
      counts[c] = std::max(counts[c], leaf.high[i] < 255.0 ? static_cast<int64_t>(leaf.high[i]) + 1 : 256);
  return counts;
}

void make_image(FieldSpec& spec) {
  spec.modality = Modality::kImage;
  spec.shape.resize(3, 1);  // a grey picture has one channel
}

void make_grid(const SpaceLeaf& leaf, FieldSpec& spec) {
  spec.modality = Modality::kDiscrete;
  spec.cells = leaf.shape[2] > 1;
  spec.num_values = values_per_channel(leaf);
}

void make_discrete(MinariField& field) {
  const auto& [low, high] = std::tie(field.leaf.low, field.leaf.high);
  double most = 0;
  for (size_t i = 0; i < std::max(low.size(), high.size()); ++i)
    most = std::max(most, high[high.size() == 1 ? 0 : i] - low[low.size() == 1 ? 0 : i]);
  field.spec.modality = Modality::kDiscrete;
  field.spec.num_values = {static_cast<int64_t>(most) + 1};
  if (std::all_of(low.begin(), low.end(), [](double start) { return start == 0.0; })) return;
  field.start = at::tensor(low, at::kDouble).to(at::kLong);
  field.start = low.size() == 1 ? field.start.squeeze(0) : field.start.reshape(field.leaf.shape);
}

bool is_bounded(const std::vector<double>& bounds) {
  return std::all_of(bounds.begin(), bounds.end(), [](double bound) { return std::abs(bound) < kUnbounded; });
}

// The bounds of every value; of one that cannot vary, the upper is moved up.
void make_linear(const SpaceLeaf& leaf, FieldSpec& spec) {
  const size_t count = std::max(leaf.low.size(), leaf.high.size());
  spec.low.clear();
  spec.high.clear();
  for (size_t i = 0; i < count; ++i) {
    spec.low.push_back(leaf.low[leaf.low.size() == 1 ? 0 : i]);
    const double high = leaf.high[leaf.high.size() == 1 ? 0 : i];
    spec.high.push_back(spec.low[i] < high ? high : spec.low[i] + 1.0);
  }
}

void make_continuous(const SpaceLeaf& leaf, bool action, FieldSpec& spec) {
  spec.modality = Modality::kContinuous;
  spec.mu_law = !action;  // paper 2.1
  if (action && is_bounded(leaf.low) && is_bounded(leaf.high)) make_linear(leaf, spec);
}

}  // namespace

std::string SpaceLeaf::name() const {
  std::string joined;
  for (const auto& key : path) joined += (joined.empty() ? "" : "/") + key.name;
  return joined;
}

bool SpaceLeaf::is_image() const {
  return kind == Kind::kBox && dtype == "uint8" && (shape.size() == 2 || shape.size() == 3) && shape[0] >= 32 && shape[1] >= 32;
}

std::vector<SpaceLeaf> parse_space(const std::string& text, const std::string& where) {
  std::vector<SpaceLeaf> leaves;
  SpaceReader(where, leaves).read(parse_python_json(text, where));
  return leaves;
}

MinariField minari_field(SpaceLeaf leaf, std::string name, bool action) {
  MinariField field{.leaf = std::move(leaf)};
  auto& spec = field.spec;
  spec.name = std::move(name);
  spec.role = action ? Role::kAction : Role::kObservation;
  spec.shape = field.leaf.shape;
  if (field.leaf.kind == SpaceLeaf::Kind::kText) {
    if (action) spec.role = Role::kAnswer;
  } else if (field.leaf.kind != SpaceLeaf::Kind::kBox) {
    make_discrete(field);
  } else if (!action && has_pixels(field.leaf)) {
    make_image(spec);
  } else if (!action && is_grid(field.leaf)) {
    make_grid(field.leaf, spec);
  } else if (has_integers(field.leaf) && has_few_values(field.leaf)) {
    make_discrete(field);
  } else {
    make_continuous(field.leaf, action, spec);
  }
  return field;
}

}  // namespace mugato::data
