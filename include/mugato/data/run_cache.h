// Random access to what can only be read front to back: compressed archives, row groups.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "mugato/data/source.h"

namespace mugato::data {

// Keeps the blocks that were asked for last, and readers that stand where they stopped, so that draws in the ReadingOrder read
// every run once and front to back, for every lane that is at another place. Thread-safe; runs are read in parallel.
template <class Item>
class RunCache {
 public:
  using Next = std::function<std::optional<Item>()>;  // the next item of a run; nothing after the last
  using Open = std::function<Next(int64_t run)>;

  // Keeps `max_blocks` blocks and as many open runs at most: choose order.block so that a block has some megabytes.
  RunCache(ReadingOrder order, Open open, size_t max_blocks = 32)
      : order_(std::move(order)), open_(std::move(open)), max_blocks_(max_blocks) {
    begin_.push_back(0);
    for (const int64_t length : order_.runs) begin_.push_back(begin_.back() + length);
  }

  int64_t size() const { return begin_.back(); }
  const ReadingOrder& order() const { return order_; }

  // The run of an index, for messages.
  int64_t run_of(int64_t index) const { return std::upper_bound(begin_.begin(), begin_.end(), index) - begin_.begin() - 1; }
  int64_t begin_of(int64_t run) const { return begin_[static_cast<size_t>(run)]; }

  // Rethrows what the reader throws; a later call tries again.
  std::shared_ptr<const Item> get(int64_t index) {
    TORCH_CHECK(index >= 0 && index < size(), "index ", index, " of ", size());
    const int64_t run = run_of(index), offset = index - begin_of(run), first = offset / order_.block * order_.block;
    const auto block = block_at({run, first});
    return {block, &(*block)[static_cast<size_t>(offset - first)]};
  }

 private:
  using Items = std::shared_ptr<const std::vector<Item>>;
  using Key = std::pair<int64_t, int64_t>;  // run, offset of the block's first item
  struct Block {
    Key key;
    std::shared_future<Items> items;
  };
  struct Reader {
    int64_t run, position;  // how many items it has read
    Next next;
  };

  Items block_at(Key key) {
    std::unique_lock lock(mutex_);
    const auto found = std::find_if(blocks_.begin(), blocks_.end(), [&](const Block& block) { return block.key == key; });
    if (found != blocks_.end()) {
      blocks_.splice(blocks_.begin(), blocks_, found);
      const auto items = found->items;
      lock.unlock();  // another thread may be reading it still
      return items.get();
    }
    std::promise<Items> promise;
    blocks_.push_front({key, promise.get_future().share()});
    auto reader = take_reader(key);
    lock.unlock();
    return read(key, std::move(promise), std::move(reader));
  }

  // The idle reader of the run that is nearest before the block. mutex_ is held.
  std::optional<Reader> take_reader(Key key) {
    auto best = readers_.end();
    for (auto reader = readers_.begin(); reader != readers_.end(); ++reader)
      if (reader->run == key.first && reader->position <= key.second &&
          (best == readers_.end() || reader->position > best->position))
        best = reader;
    if (best == readers_.end()) return std::nullopt;
    auto taken = std::move(*best);
    readers_.erase(best);
    return taken;
  }

  Items read(Key key, std::promise<Items> promise, std::optional<Reader> reader) {
    try {
      if (!reader) reader = Reader{key.first, 0, open_(key.first)};
      const int64_t length = order_.runs[static_cast<size_t>(key.first)];
      auto items = std::make_shared<std::vector<Item>>();
      for (const int64_t end = std::min(key.second + order_.block, length); reader->position < end; ++reader->position) {
        auto item = reader->next();
        TORCH_CHECK(item, "run ", key.first, " ends after ", reader->position, " items, not ", length);
        if (reader->position >= key.second) items->push_back(std::move(*item));
      }
      promise.set_value(items);
      const std::lock_guard lock(mutex_);
      if (reader->position < length) readers_.push_front(std::move(*reader));
      while (readers_.size() > max_blocks_) readers_.pop_back();
      while (blocks_.size() > max_blocks_) blocks_.pop_back();
      return items;
    } catch (...) {
      promise.set_exception(std::current_exception());
      const std::lock_guard lock(mutex_);
      blocks_.remove_if([&](const Block& block) { return block.key == key; });
      throw;
    }
  }

  ReadingOrder order_;
  Open open_;
  size_t max_blocks_;
  std::vector<int64_t> begin_;
  std::mutex mutex_;
  std::list<Block> blocks_;    // the last asked for first
  std::list<Reader> readers_;  // idle, the last used first
};

}  // namespace mugato::data
