#include "mugato/seq/layout.h"

#include <algorithm>
#include <numeric>

namespace mugato {
namespace {

// A tensor that has the values where they are.
at::Tensor as_tensor(std::vector<int64_t>&& values) {
  if (values.empty()) return at::empty({0}, at::kLong);
  auto* kept = new std::vector(std::move(values));
  return at::from_blob(
      kept->data(), {static_cast<int64_t>(kept->size())}, [kept](void*) { delete kept; }, at::kLong);
}

// Every tensor of a batch, changed by `change`.
template <class Change>
MicroBatch changed(const MicroBatch& batch, const Change& change) {
  MicroBatch result = batch;
  auto& l = result.layout;
  for (at::Tensor* tensor : {&l.ids, &l.document, &l.position, &l.timestep, &l.field, &l.local, &l.slots, &l.id_values,
                             &l.cell_index, &l.cell_values, &l.patch_index, &l.patch_row, &l.patch_column, &l.patch_number,
                             &l.target_slots, &l.targets, &l.target_domains, &result.patches})
    *tensor = change(*tensor);
  return result;
}

}  // namespace

MicroBatch MicroBatch::to(at::Device device) const {
  if (device.is_cpu()) return *this;
  return changed(*this, [&](const at::Tensor& tensor) { return tensor.to(device, /*non_blocking=*/true); });
}

MicroBatch MicroBatch::pinned() const {
  return changed(*this, [](const at::Tensor& tensor) { return tensor.pin_memory(); });
}

LayoutBuilder::LayoutBuilder(int64_t rows, int64_t capacity, int64_t num_domains) : rows_(rows), capacity_(capacity) {
  auto& layout = batch_.layout;
  layout.rows = rows;
  layout.capacity = capacity;
  for (auto* per_slot : {&layout.ids, &layout.document, &layout.position, &layout.timestep, &layout.field, &layout.local})
    *per_slot = at::empty({rows, capacity}, at::kLong);
  batch_.target_counts.assign(static_cast<size_t>(num_domains), 0);
  ids_ = layout.ids.data_ptr<int64_t>();
  document_ = layout.document.data_ptr<int64_t>();
  position_of_ = layout.position.data_ptr<int64_t>();
  timestep_of_ = layout.timestep.data_ptr<int64_t>();
  field_of_ = layout.field.data_ptr<int64_t>();
  local_of_ = layout.local.data_ptr<int64_t>();
}

void LayoutBuilder::reserve(int64_t num_ids, int64_t num_patches) {
  id_slots_.reserve(static_cast<size_t>(num_ids + num_patches));  // in the end those of patches follow
  id_values_.reserve(static_cast<size_t>(num_ids));
  for (auto* values : {&patch_slots_, &patch_index_, &patch_row_, &patch_column_, &patch_number_})
    values->reserve(static_cast<size_t>(num_patches));
  patches_.reserve(num_patches);
}

// What was not written is pads.
void LayoutBuilder::end_row() {
  const int64_t begin = row_ * capacity_ + cursor_, count = capacity_ - cursor_;
  std::fill_n(ids_ + begin, count, TokenLayout::kPad);
  for (auto* values : {document_, field_of_}) std::fill_n(values + begin, count, -1);
  for (auto* values : {position_of_, timestep_of_, local_of_}) std::fill_n(values + begin, count, 0);
}

void LayoutBuilder::begin_row() {
  if (row_ >= 0) end_row();
  TORCH_CHECK(++row_ < rows_, "more rows than declared");
  cursor_ = 0;
  num_documents_ = 0;
}

void LayoutBuilder::begin_document(int64_t domain, int64_t first_position) {
  TORCH_CHECK(row_ >= 0, "a document before the first row");
  TORCH_CHECK(domain >= 0 && domain < static_cast<int64_t>(batch_.target_counts.size()), "domain ", domain, " of ",
              batch_.target_counts.size());
  domain_ = domain;
  position_ = first_position;
  begin_timestep(0);
  field_ = -1;
  batch_.layout.documents.push_back({row_, cursor_, 0});
}

void LayoutBuilder::begin_timestep(int64_t timestep, int64_t first_local) {
  timestep_ = timestep;
  local_ = first_local;
}

// Slots for tokens of one id, the first of which is returned; array by array, for there is more than stays in the near cache.
int64_t LayoutBuilder::next_slots(int64_t id, int64_t count, int64_t local) {
  TORCH_CHECK(!batch_.layout.documents.empty() && batch_.layout.documents.back().row == row_, "a token outside of a document");
  TORCH_CHECK(cursor_ + count <= capacity_, "row ", row_, " is full");
  auto& length = batch_.layout.documents.back().length;
  if (length == 0 && count > 0) ++num_documents_;
  length += count;
  const int64_t first = row_ * capacity_ + cursor_;
  cursor_ += count;
  std::fill_n(ids_ + first, count, id);
  std::fill_n(document_ + first, count, num_documents_ - 1);
  std::iota(position_of_ + first, position_of_ + first + count, position_);
  position_ += count;
  std::fill_n(timestep_of_ + first, count, timestep_);
  std::fill_n(field_of_ + first, count, field_);
  std::iota(local_of_ + first, local_of_ + first + count, local);
  return first;
}

void LayoutBuilder::add_id(int64_t id, Use use) {
  const int64_t slot = next_slots(id, 1, use.action ? TokenLayout::kActionPosition : local_++);
  id_slots_.push_back(slot);
  id_values_.push_back(id);
  // A document's first token has no token before it that could predict it.
  if (!use.target || batch_.layout.documents.back().length == 1) return;
  target_slots_.push_back(slot - 1);
  targets_.push_back(id);
  target_domains_.push_back(domain_);
  ++batch_.target_counts[static_cast<size_t>(domain_)];
}

void LayoutBuilder::add_cell(const int64_t* ids, int64_t channels) {
  add_id(ids[0], {});
  for (int64_t c = 1; c < channels; ++c) {
    cell_index_.push_back(static_cast<int64_t>(id_slots_.size()) - 1);
    cell_values_.push_back(ids[c]);
  }
}

void LayoutBuilder::add_image(const uint8_t* patches, std::span<const int64_t> row_buckets,
                              std::span<const int64_t> column_buckets) {
  const size_t count = row_buckets.size() * column_buckets.size(), begin = patch_slots_.size();
  const auto num_patches = static_cast<int64_t>(count);
  const int64_t first = next_slots(TokenLayout::kPatch, num_patches, local_);
  local_ += num_patches;
  for (auto* values : {&patch_slots_, &patch_index_, &patch_number_}) values->resize(begin + count);
  patches_.add(patches, num_patches, patch_index_.data() + begin);
  std::iota(patch_slots_.data() + begin, patch_slots_.data() + begin + count, first);
  std::iota(patch_number_.data() + begin, patch_number_.data() + begin + count, 0);
  for (const int64_t row : row_buckets) {
    patch_row_.insert(patch_row_.end(), column_buckets.size(), row);
    patch_column_.insert(patch_column_.end(), column_buckets.begin(), column_buckets.end());
  }
}

MicroBatch LayoutBuilder::finish() {
  auto& layout = batch_.layout;
  if (row_ >= 0) end_row();
  for (cursor_ = 0; ++row_ < rows_;) end_row();
  std::erase_if(layout.documents, [](const auto& span) { return span.length == 0; });
  id_slots_.insert(id_slots_.end(), patch_slots_.begin(), patch_slots_.end());
  layout.slots = as_tensor(std::move(id_slots_));
  layout.id_values = as_tensor(std::move(id_values_));
  layout.cell_index = as_tensor(std::move(cell_index_));
  layout.cell_values = as_tensor(std::move(cell_values_));
  layout.patch_index = as_tensor(std::move(patch_index_));
  layout.patch_row = as_tensor(std::move(patch_row_));
  layout.patch_column = as_tensor(std::move(patch_column_));
  layout.patch_number = as_tensor(std::move(patch_number_));
  layout.target_slots = as_tensor(std::move(target_slots_));
  layout.targets = as_tensor(std::move(targets_));
  layout.target_domains = as_tensor(std::move(target_domains_));
  batch_.patches = patches_.take();
  return std::move(batch_);
}

}  // namespace mugato
