// The first struct of the data's way: what a source or an environment yields, as raw values.
// Shape legend: E timesteps of the episode, H height, W width, K values per timestep.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace mugato {

enum class Modality { kText, kImage, kDiscrete, kContinuous };
enum class Role {
  kObservation,  // read, never a target (text observations only with loss.text_observations)
  kPrompt,       // text that is read and never a target, with loss.text_observations neither
  kAction,       // written by the agent: a target; one shared local position
  kAnswer,       // text that answers an observation: a target; written by the agent token by token, closed by the end id
  kText,         // the text of a text document: a target from its first token, closed by the end id
};

const char* name_of(Modality modality);
const char* name_of(Role role);

// What one field of a source holds, per timestep.
struct FieldSpec {
  std::string name;
  Modality modality = Modality::kText;
  Role role = Role::kObservation;

  // kDiscrete: the shape of one timestep, {} for a scalar, {2} for two values, {7,7,3} for a grid. With `cells`, the last
  // axis are the channels of one token (C = 3), whose embeddings are summed; without, every value is a token (C = 1).
  // kContinuous: the shape of one timestep, likewise. kImage: {H, W, channels}, or empty when sizes vary.
  std::vector<int64_t> shape = {};
  bool cells = false;

  // kDiscrete: values are in [0, num_values[i]), one entry for all values, or with `cells` one per channel.
  std::vector<int64_t> num_values = {};

  // kContinuous: mu-law first (paper: observations yes, actions no), or a linear map of [low, high] to [-1, 1]: one entry for
  // all values, or one for each value of a timestep.
  bool mu_law = false;
  std::vector<double> low = {-1.0}, high = {1.0};

  int64_t values_per_step() const;  // product of shape; 1 for a scalar
  bool is_target() const { return role != Role::kObservation && role != Role::kPrompt; }
};

// Fields in the order of their declaration; the Sequencer orders them within a timestep.
struct Schema {
  std::vector<FieldSpec> fields;

  const FieldSpec& field(const std::string& name) const;  // throws Error with the nearest name
  int64_t index_of(const std::string& name) const;

  // Whether an episode is one text and nothing else, the only thing that is cut within a timestep.
  bool is_text_document() const { return fields.size() == 1 && fields[0].role == Role::kText; }
};

// Values of one field over E timesteps. Text: E strings in `text`, or their ids already, `values` (E,T) int64. All else:
// `values` (E, shape...): kImage (E,H,W) or (E,H,W,1|3|4), uint8 or float in [0,1]; kDiscrete int64; kContinuous float.
struct FieldValues {
  at::Tensor values;
  std::vector<std::string> text;
};

struct Episode {
  std::vector<FieldValues> fields;  // parallel to the schema's fields
  int64_t num_steps = 0;            // E
  std::string id;                   // for messages: "four_rooms seed 17", "main_data.hdf5 episode 3"
  bool starts = true;               // of a text: whether it begins and ends here, or is a part of a longer one
  bool ends = true;
  at::Tensor rewards = {};  // (E): of each timestep's action; undefined where none are known
  double total_return = 0.0;
  bool success = false;
};

// One timestep of a field, outside of an episode: text, or a tensor of the field's shape.
using Value = std::variant<std::string, at::Tensor>;
using Observation = std::map<std::string, Value>;
using Action = std::map<std::string, Value>;

}  // namespace mugato
