// A source made of another one.
#pragma once

#include <memory>

#include "mugato/data/source.h"

namespace mugato::data {

// Passes everything on; what derives from it overrides what it changes.
class SourceDecorator : public Source {
 public:
  explicit SourceDecorator(std::shared_ptr<const Source> inner) : inner_(std::move(inner)) {}

  const Schema& schema() const override { return inner_->schema(); }
  int64_t size() const override { return inner_->size(); }
  Episode get(int64_t index) const override { return inner_->get(index); }
  double episode_return(int64_t index) const override { return inner_->episode_return(index); }

 protected:
  const Source& inner() const { return *inner_; }

 private:
  std::shared_ptr<const Source> inner_;
};

}  // namespace mugato::data
