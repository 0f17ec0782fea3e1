#include "mugato/data/held_out.h"

#include <algorithm>
#include <cmath>

#include "mugato/data/decorator.h"

namespace mugato::data {
namespace {

// Indices k-1, 2k-1, 3k-1, ... of the whole are held out, or the groups of these numbers.
class HeldOutSource : public SourceDecorator {
 public:
  HeldOutSource(std::unique_ptr<Source> whole, int64_t every, Split split)
      : SourceDecorator(std::move(whole)), every_(every), split_(split) {
    const auto groups = inner().groups();
    is_grouped_ = !groups.empty();
    for (size_t i = 0; i < groups.size(); ++i)
      if ((groups[i] % every_ == every_ - 1) == (split_ == Split::kEvaluation)) indices_.push_back(static_cast<int64_t>(i));
  }

  int64_t size() const override { return inner().size() == kUnbounded ? kUnbounded : num_below(inner().size()); }
  Episode get(int64_t index) const override { return inner().get(index_in_whole(index)); }
  RawEpisode raw(int64_t index) const override { return inner().raw(index_in_whole(index)); }
  double episode_return(int64_t index) const override { return inner().episode_return(index_in_whole(index)); }

  ReadingOrder reading_order() const override {
    auto order = inner().reading_order();
    int64_t begin = 0;
    for (auto& length : order.runs) {
      const int64_t end = begin + length;
      length = num_below(end) - num_below(begin);
      begin = end;
    }
    return order;
  }

 private:
  // How many of the first `count` episodes of the whole are of this half.
  int64_t num_below(int64_t count) const {
    if (is_grouped_) return std::lower_bound(indices_.begin(), indices_.end(), count) - indices_.begin();
    return split_ == Split::kEvaluation ? count / every_ : count - count / every_;
  }

  int64_t index_in_whole(int64_t index) const {
    if (is_grouped_) return indices_[static_cast<size_t>(index)];
    return split_ == Split::kEvaluation ? (index + 1) * every_ - 1 : index + index / (every_ - 1);
  }

  int64_t every_;
  Split split_;
  bool is_grouped_;
  std::vector<int64_t> indices_;  // of this half, where there are groups
};

}  // namespace

std::unique_ptr<Source> divide(std::unique_ptr<Source> source, double share, Split split) {
  if (share > 0.0)
    return std::make_unique<HeldOutSource>(std::move(source), std::max<int64_t>(2, std::llround(1.0 / share)), split);
  if (split == Split::kTrain) return source;
  return std::make_unique<HeldOutSource>(std::move(source), Source::kUnbounded, split);
}

}  // namespace mugato::data
