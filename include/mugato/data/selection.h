// Which episodes of a source are trained on, by their returns.
#pragma once

#include <span>
#include <vector>

#include "mugato/data/decorator.h"

namespace mugato::data {

// The best that the collecting agent sustained (paper 3.1): the largest mean return of W = min(1000, N / 10) episodes one after
// the other, at least one, of N in the order in which they were collected. Returns are finite and there is at least one.
double expert_return(std::span<const double> returns);

struct SelectionOptions {
  double return_filter = 0.0;  // least share of the expert's return; 0: any return
  int64_t top = 0;             // most episodes, those of the highest returns; 0: all
  bool skip_broken = false;    // leave out episodes whose return can not be read; else they are an Error
};

// The episodes to keep, in their order. A share f of the expert's return R asks for R - (1 - f) |R| at least: f R where R is
// positive (the paper keeps 80%), and as far below a negative one. Then the `top` highest returns of these; of equal ones the
// earlier. At least one episode is kept.
std::vector<int64_t> select_episodes(std::span<const double> returns, const SelectionOptions& options);

// The episodes of a source at `indices`, which are ascending.
class SelectedSource : public SourceDecorator {
 public:
  SelectedSource(std::shared_ptr<const Source> inner, std::vector<int64_t> indices)
      : SourceDecorator(std::move(inner)), indices_(std::move(indices)) {}
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Episode get(int64_t index) const override { return inner().get(indices_.at(static_cast<size_t>(index))); }
  RawEpisode raw(int64_t index) const override { return inner().raw(indices_.at(static_cast<size_t>(index))); }
  ReadingOrder reading_order() const override;
  double episode_return(int64_t index) const override {
    return inner().episode_return(indices_.at(static_cast<size_t>(index)));
  }

 private:
  std::vector<int64_t> indices_;  // ascending
};

// The source itself where nothing is to be selected; else asks every episode for its return. Throws Error that names `domain`
// for an unbounded source, for a return that is not finite, and where no episode is left.
std::shared_ptr<const Source> select(std::shared_ptr<const Source> source, const SelectionOptions& options,
                                     const std::string& domain);

}  // namespace mugato::data
