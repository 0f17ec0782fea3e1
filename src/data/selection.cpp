#include "mugato/data/selection.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "mugato/core/error.h"

namespace mugato::data {

double expert_return(std::span<const double> returns) {
  TORCH_CHECK(!returns.empty(), "no returns");
  const size_t window = std::clamp<size_t>(returns.size() / 10, 1, 1000);
  double best = -INFINITY;
  for (size_t end = window; end <= returns.size(); ++end) {
    const auto part = returns.subspan(end - window, window);
    best = std::max(best, std::accumulate(part.begin(), part.end(), 0.0) / static_cast<double>(window));
  }
  return best;
}

std::vector<int64_t> select_episodes(std::span<const double> returns, const SelectionOptions& options) {
  std::vector<int64_t> kept(returns.size());
  std::iota(kept.begin(), kept.end(), int64_t{0});
  const auto return_of = [&](int64_t index) { return returns[static_cast<size_t>(index)]; };
  if (options.return_filter > 0.0) {
    const double expert = expert_return(returns), least = expert - (1.0 - options.return_filter) * std::abs(expert);
    // The sum of a window is rounded: where all returns are alike, their mean may lie a little above each of them.
    const double slack = 1e-9 * std::abs(expert);
    std::erase_if(kept, [&](int64_t index) { return return_of(index) < least - slack; });
  }
  if (options.top > 0 && options.top < static_cast<int64_t>(kept.size())) {
    std::stable_sort(kept.begin(), kept.end(), [&](int64_t a, int64_t b) { return return_of(a) > return_of(b); });
    kept.resize(static_cast<size_t>(options.top));
    std::sort(kept.begin(), kept.end());
  }
  return kept;
}

ReadingOrder SelectedSource::reading_order() const {
  auto order = inner().reading_order();
  auto next = indices_.begin();
  int64_t end = 0;
  for (auto& length : order.runs) {
    end += length;
    const auto first = next;
    next = std::lower_bound(next, indices_.end(), end);
    length = next - first;
  }
  return order;
}

std::shared_ptr<const Source> select(std::shared_ptr<const Source> source, const SelectionOptions& options,
                                     const std::string& domain) {
  if (options.return_filter <= 0.0 && options.top <= 0) return source;
  if (source->size() == Source::kUnbounded)
    throw Error("[[data]] entry '" + domain + "' makes a new episode for every draw: there is nothing to select from",
                "leave out return_filter and top, which are for recorded episodes");
  std::vector<double> returns;
  std::vector<int64_t> readable;
  for (int64_t i = 0; i < source->size(); ++i) {
    try {
      const double value = source->episode_return(i);
      if (!std::isfinite(value))
        throw Error("the return of episode " + std::to_string(i) + " is not finite",
                    "correct its rewards, or leave out return_filter and top");
      returns.push_back(value);
      readable.push_back(i);
    } catch (const Error& error) {
      if (!options.skip_broken) throw of_entry(domain, error);
    }
  }
  if (readable.empty()) throw Error("[[data]] entry '" + domain + "': no episode can be read", "");
  auto kept = select_episodes(returns, options);
  for (auto& index : kept) index = readable[static_cast<size_t>(index)];
  return std::make_shared<SelectedSource>(std::move(source), std::move(kept));
}

}  // namespace mugato::data
