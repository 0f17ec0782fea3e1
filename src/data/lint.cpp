#include "mugato/data/lint.h"

#include <string_view>
#include <unordered_map>

#include "mugato/core/error.h"
#include "mugato/core/random.h"
#include "mugato/token/continuous.h"

namespace mugato::data {
namespace {

class Linter {
 public:
  explicit Linter(const Schema& schema) : schema_(schema), ranges_(schema.fields.size()) {}

  void read(const Episode& episode, int64_t index) {
    uint64_t hash = hash_key(static_cast<uint64_t>(episode.num_steps));
    for (size_t f = 0; f < schema_.fields.size(); ++f) {
      const auto& field = schema_.fields[f];
      const auto& values = episode.fields[f];
      const bool is_text = field.modality == Modality::kText && !values.values.defined();
      const int64_t steps = is_text ? static_cast<int64_t>(values.text.size()) : values.values.size(0);
      if (steps != episode.num_steps)
        add("mismatched_length", field.name, 1,
            episode.id + ": " + std::to_string(steps) + " timesteps of " + std::to_string(episode.num_steps));
      if (is_text) {
        read_text(field, values.text, episode.id);
        for (const auto& text : values.text) hash = hash_key(hash, hash_of(text.data(), text.size()));
      } else {
        const auto contiguous = values.values.contiguous();
        read_values(field, contiguous, ranges_[f], episode.id);
        hash = hash_key(hash, hash_of(contiguous.const_data_ptr(), contiguous.nbytes()));
      }
    }
    num_steps_ += episode.num_steps;
    const auto [first, is_new] = seen_.emplace(hash, index);
    if (!is_new) add("duplicate", "", 1, episode.id + ": the same as number " + std::to_string(first->second));
  }

  void add(const std::string& kind, const std::string& field, int64_t count, const std::string& example) {
    for (auto& finding : findings_)
      if (finding.kind == kind && finding.field == field) {
        finding.count += count;
        return;
      }
    findings_.push_back({kind, field, count, example});
  }

  std::vector<Finding> finish() {
    for (size_t f = 0; f < schema_.fields.size(); ++f) {
      const auto& [low, high] = ranges_[f];
      if (!low.defined() || num_steps_ < 2) continue;
      const auto constant = at::nonzero(low == high).view({-1});
      if (constant.numel() == 0) continue;
      const auto first = constant[0].item<int64_t>();
      add("constant", schema_.fields[f].name, constant.numel(),
          "dimension " + std::to_string(first) + " is always " + std::to_string(low[first].item<double>()));
    }
    return std::move(findings_);
  }

 private:
  struct Range {
    at::Tensor low, high;  // (K), over all timesteps so far
  };

  static uint64_t hash_of(const void* bytes, size_t size) {
    return std::hash<std::string_view>{}({static_cast<const char*>(bytes), size});
  }

  void read_text(const FieldSpec& field, const std::vector<std::string>& texts, const std::string& id) {
    for (size_t e = 0; e < texts.size(); ++e)
      if (texts[e].find_first_not_of(" \t\r\n") == std::string::npos)
        add("empty_text", field.name, 1, id + ": timestep " + std::to_string(e));
  }

  // Counts the values for which `wrong` holds, and shows the first.
  void count(const std::string& kind, const FieldSpec& field, const at::Tensor& values, const at::Tensor& wrong,
             const std::string& id) {
    const auto num_wrong = wrong.sum().item<int64_t>();
    if (num_wrong == 0) return;
    const auto first = wrong.to(at::kInt).view({-1}).argmax().item<int64_t>();
    const int64_t per_step = std::max<int64_t>(1, values.numel() / std::max<int64_t>(1, values.size(0)));
    add(kind, field.name, num_wrong,
        id + ": timestep " + std::to_string(first / per_step) + ", value " + std::to_string(first % per_step) + " is " +
            std::to_string(values.view({-1})[first].item<double>()));
  }

  void read_values(const FieldSpec& field, const at::Tensor& values, Range& range, const std::string& id) {
    if (values.numel() == 0) return;
    if (at::isFloatingType(values.scalar_type())) count("not_finite", field, values, ~at::isfinite(values), id);
    if (field.modality == Modality::kDiscrete) {
      const auto limits = at::tensor(field.num_values, at::kLong);  // one for all, or one per channel of the last axis
      count("out_of_range", field, values, (values < 0).logical_or(values >= limits), id);
    }
    if (field.modality == Modality::kContinuous && field.role == Role::kAction && !field.mu_law)
      count("beyond_space", field, values, ContinuousCodec{.low = field.low, .high = field.high}.outside(values), id);
    if (field.modality == Modality::kContinuous || (field.modality == Modality::kDiscrete && !field.cells))
      widen(values, range);
  }

  static void widen(const at::Tensor& values, Range& range) {
    const auto rows = values.reshape({values.size(0), -1}).to(at::kDouble);
    const auto low = rows.amin(0), high = rows.amax(0);
    if (range.low.defined() && range.low.sizes() != low.sizes()) return;  // a shape that varies is found by the tokenizer
    range.low = range.low.defined() ? at::minimum(range.low, low) : low;
    range.high = range.high.defined() ? at::maximum(range.high, high) : high;
  }

  const Schema& schema_;
  std::vector<Range> ranges_;
  std::unordered_map<uint64_t, int64_t> seen_;  // hash of an episode's values to its index
  std::vector<Finding> findings_;
  int64_t num_steps_ = 0;
};

}  // namespace

std::vector<Finding> lint(const Source& source, int64_t num_episodes) {
  Linter linter(source.schema());
  for (int64_t i = 0; i < std::min(num_episodes, source.size()); ++i) {
    try {
      linter.read(source.get(i), i);
    } catch (const Error& error) {
      const std::string what = error.what();
      linter.add("unreadable", "", 1, what.substr(0, what.find('\n')));
    }
  }
  return linter.finish();
}

}  // namespace mugato::data
