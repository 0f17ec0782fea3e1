#include "mugato/data/held_out.h"

#include <cmath>

namespace mugato::data {
namespace {

// Indices k-1, 2k-1, 3k-1, ... of the whole are held out.
class HeldOutSource : public Source {
 public:
  HeldOutSource(std::unique_ptr<Source> whole, int64_t every, Split split)
      : whole_(std::move(whole)), every_(every), split_(split) {}

  const Schema& schema() const override { return whole_->schema(); }
  int64_t size() const override { return whole_->size() == kUnbounded ? kUnbounded : num_below(whole_->size()); }
  Episode get(int64_t index) const override { return whole_->get(index_in_whole(index)); }
  RawEpisode raw(int64_t index) const override { return whole_->raw(index_in_whole(index)); }
  std::string about() const override { return whole_->about(); }

  ReadingOrder reading_order() const override {
    auto order = whole_->reading_order();
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
  int64_t num_below(int64_t count) const { return split_ == Split::kEvaluation ? count / every_ : count - count / every_; }

  int64_t index_in_whole(int64_t index) const {
    return split_ == Split::kEvaluation ? (index + 1) * every_ - 1 : index + index / (every_ - 1);
  }

  std::unique_ptr<Source> whole_;
  int64_t every_;
  Split split_;
};

}  // namespace

std::unique_ptr<Source> divide(std::unique_ptr<Source> source, double share, Split split) {
  if (share > 0.0)
    return std::make_unique<HeldOutSource>(std::move(source), std::max<int64_t>(2, std::llround(1.0 / share)), split);
  if (split == Split::kTrain) return source;
  return std::make_unique<HeldOutSource>(std::move(source), Source::kUnbounded, split);
}

}  // namespace mugato::data
