// Two global steps, compared in all that a model reads of them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "mugato/seq/batch_stream.h"

namespace mugato::data {

// Every tensor that a model reads, rows of the whole step one below the other.
inline std::map<std::string, at::Tensor> tensors_of(const GlobalStep& step) {
  std::map<std::string, std::vector<at::Tensor>> parts;
  int64_t first_slot = 0;
  for (const auto& batch : step.micro_batches) {
    const auto& layout = batch.layout;
    parts["ids"].push_back(layout.ids);
    parts["document"].push_back(layout.document);
    parts["position"].push_back(layout.position);
    parts["timestep"].push_back(layout.timestep);
    parts["field"].push_back(layout.field);
    parts["local"].push_back(layout.local);
    parts["targets"].push_back(layout.targets);
    parts["target_slots"].push_back(layout.target_slots + first_slot);
    parts["target_domains"].push_back(layout.target_domains);
    parts["patches"].push_back(batch.patches.index_select(0, layout.patch_index));
    parts["patch_buckets"].push_back(at::stack({layout.patch_row, layout.patch_column, layout.patch_number}, 1));
    first_slot += layout.rows * layout.capacity;
  }
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, list] : parts) tensors[name] = at::cat(list);
  return tensors;
}

inline bool same_step(const GlobalStep& a, const GlobalStep& b) {
  const auto x = tensors_of(a), y = tensors_of(b);
  for (const auto& [name, tensor] : x)
    if (!tensor.equal(y.at(name))) return false;
  for (size_t d = 0; d < a.counts.size(); ++d)
    if (a.counts[d].samples != b.counts[d].samples || a.counts[d].tokens != b.counts[d].tokens ||
        a.counts[d].targets != b.counts[d].targets || a.counts[d].skipped != b.counts[d].skipped)
      return false;
  return a.problems == b.problems;
}

}  // namespace mugato::data
