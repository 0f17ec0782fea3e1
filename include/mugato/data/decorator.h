// A source made of another one.
#pragma once

#include <memory>

#include "mugato/core/error.h"
#include "mugato/data/source.h"

namespace mugato::data {

// Passes everything on; what derives from it overrides what it changes.
class SourceDecorator : public Source {
 public:
  explicit SourceDecorator(std::shared_ptr<const Source> inner) : inner_(std::move(inner)) {}

  const Schema& schema() const override { return inner_->schema(); }
  int64_t size() const override { return inner_->size(); }
  Episode get(int64_t index) const override { return inner_->get(index); }
  ReadingOrder reading_order() const override { return inner_->reading_order(); }
  RawEpisode raw(int64_t index) const override { return inner_->raw(index); }
  std::string about() const override { return inner_->about(); }
  double episode_return(int64_t index) const override { return inner_->episode_return(index); }

 protected:
  const Source& inner() const { return *inner_; }

 private:
  std::shared_ptr<const Source> inner_;
};

// An error of reading a source that says which [[data]] entry it is of.
inline Error of_entry(const std::string& domain, const Error& error) {
  return {"[[data]] entry '" + domain + "': " + error.what(), "",
          error.exit_code() == 2 ? Error::Kind::kUser : Error::Kind::kFailure};
}

}  // namespace mugato::data
