// What the loader's threads make of samples and the model reads: for every token of every row, plain integers.
// Shape legend: B rows, S slots of a row, N id tokens, P patch tokens, U distinct patches, K targets.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <span>
#include <vector>

#include "mugato/seq/patch_table.h"

namespace mugato {

// Slots [begin, begin + length) of a row: tokens that attend to each other, causally, and to nothing else.
struct DocumentSpan {
  int64_t row = 0, begin = 0, length = 0;
};

struct TokenLayout {
  int64_t rows = 0, capacity = 0;       // B, S
  std::vector<DocumentSpan> documents;  // by row, then by slot; the slots of none are pads

  // Per slot (B,S), int64; of a pad, only `ids` and `document` mean something.
  at::Tensor ids;       // vocabulary id, or kPatch, or kPad
  at::Tensor document;  // number of the document within its row; -1 for a pad
  at::Tensor position;  // position in the document
  at::Tensor timestep;  // timestep in the window
  at::Tensor field;     // index into the schema's fields; -1 for separators and ends
  at::Tensor local;     // position in the timestep (paper C.3); kActionPosition for action tokens, which share one

  // Compact lists of the valid tokens: the N id tokens, then the P patch tokens.
  at::Tensor slots;                                               // (N+P): row * S + slot
  at::Tensor id_values;                                           // (N)
  at::Tensor cell_index, cell_values;                             // further channels of cells: which of the N, and the id
  at::Tensor patch_index, patch_row, patch_column, patch_number;  // (P): distinct patch; position buckets; raster index

  // Slots whose next token, in the same document, is a target; that token's id; the domain it counts for. (K) each.
  at::Tensor target_slots, targets, target_domains;

  int64_t num_tokens() const { return slots.size(0); }
  int64_t num_targets() const { return targets.size(0); }

  static constexpr int64_t kPatch = -1, kPad = -2, kActionPosition = -1;
};

// A layout with the bytes it refers to: what a model's forward pass takes.
struct MicroBatch {
  TokenLayout layout;
  at::Tensor patches;                  // (U,768) uint8, each distinct patch once
  std::vector<int64_t> target_counts;  // per domain

  MicroBatch to(at::Device device) const;

  // The same in memory that a GPU copies from while the program goes on. Needs CUDA.
  MicroBatch pinned() const;
};

// Writes rows of tokens one after the other and makes the layout. Inputs, targets and mask come out of this one stream.
// TORCH_CHECKs that tokens lie in a document, documents in a row, and that rows are not too many or too long. A document
// without tokens leaves no trace.
class LayoutBuilder {
 public:
  LayoutBuilder(int64_t rows, int64_t capacity, int64_t num_domains);

  // Room for what is known to come, so that nothing has to grow.
  void reserve(int64_t num_ids, int64_t num_patches);

  void begin_row();                                                     // rows are written in order
  void begin_document(int64_t domain = 0, int64_t first_position = 0);  // a first position above 0 continues a cached one
  void begin_timestep(int64_t timestep, int64_t first_local = 0);

  void begin_field(int64_t field) { field_ = field; }  // -1: separators and ends

  struct Use {
    bool target = false;  // whether the loss asks for this token
    bool action = false;  // whether it has the shared position of actions
  };
  void add_id(int64_t id, Use use);
  void add_cell(const int64_t* ids, int64_t channels);
  // An image's patches of kPatchBytes bytes in raster order, with the position bucket of every row and of every column.
  void add_image(const uint8_t* patches, std::span<const int64_t> row_buckets, std::span<const int64_t> column_buckets);

  int64_t room() const { return capacity_ - cursor_; }  // free slots of the present row
  MicroBatch finish();

 private:
  int64_t next_slots(int64_t id, int64_t count, int64_t local);
  void end_row();

  int64_t rows_, capacity_;
  MicroBatch batch_;
  int64_t row_ = -1, cursor_ = 0;
  int64_t domain_ = 0, position_ = 0, timestep_ = 0, local_ = 0, field_ = -1;
  int64_t num_documents_ = 0;  // in the present row
  int64_t *ids_, *document_, *position_of_, *timestep_of_, *field_of_, *local_of_;
  std::vector<int64_t> id_slots_, id_values_, cell_index_, cell_values_;
  std::vector<int64_t> patch_slots_, patch_index_, patch_row_, patch_column_, patch_number_;
  std::vector<int64_t> target_slots_, targets_, target_domains_;
  PatchTable patches_;
};

}  // namespace mugato
