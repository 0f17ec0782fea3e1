#include "mugato/data/loader.h"

#include <nlohmann/json.hpp>

#include "mugato/core/error.h"
#include "parallel.h"
#include "rows_in_order.h"

namespace mugato::data {
namespace {

constexpr int64_t kMostBroken = 1000;  // samples in a row that a lane skips, before it takes the data to be broken as a whole

std::vector<int64_t> sizes_of(const std::vector<std::shared_ptr<const Source>>& sources) {
  std::vector<int64_t> sizes;
  for (const auto& source : sources) sizes.push_back(source->size());
  return sizes;
}

std::vector<ReadingOrder> orders_of(const std::vector<std::shared_ptr<const Source>>& sources) {
  std::vector<ReadingOrder> orders;
  for (const auto& source : sources) orders.push_back(source->reading_order());
  return orders;
}

}  // namespace

// The documents of the present draw that are in no row yet, kept so that they need not be made again.
struct Loader::Lane {
  std::deque<Sample> waiting;
  int64_t num_broken = 0;  // samples that were left out of the draw, and what the first said
  std::string problem;
};

Loader::Loader(const std::vector<DataEntry>& entries, std::vector<std::shared_ptr<const Source>> sources,
               std::shared_ptr<const Tokenizer> tokenizer, std::shared_ptr<const Sequencer> sequencer, LoaderOptions options)
    : tokenizer_(std::move(tokenizer)),
      sequencer_(std::move(sequencer)),
      options_(options),
      mixture_(mixture_weights(options.mixture, entries, sizes_of(sources)), sizes_of(sources), options.seed,
               orders_of(sources)) {
  for (size_t i = 0; i < entries.size(); ++i) {
    domain_names_.push_back(entries[i].domain());
    makers_.emplace_back(entries[i], std::move(sources[i]), *tokenizer_, *sequencer_,
                         DocumentMaker::Options{.context = options.context,
                                                .domain = static_cast<int64_t>(i),
                                                .seed = options.seed,
                                                .patches = Tokenizer::Patches::kLater});
  }
  if (options_.num_lanes <= 0) options_.num_lanes = options_.rows - options_.first_lane;
  TORCH_CHECK(options_.first_lane >= 0 && options_.first_lane + options_.num_lanes <= options_.rows, "lanes ",
              options_.first_lane, " to ", options_.first_lane + options_.num_lanes, " of ", options_.rows);
  if (options_.micro_rows <= 0) options_.micro_rows = options_.num_lanes;
  position_.draws.assign(static_cast<size_t>(options_.num_lanes), 0);
  position_.taken = position_.draws;
}

Loader::~Loader() { stop(); }

void Loader::start() {
  stopping_ = false;
  error_ = nullptr;
  queue_.clear();
  thread_ = std::thread([this] { run(); });
}

void Loader::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  space_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Loader::run() {
  const DataThread alone;
  try {
    auto position = position_;
    std::vector<Lane> lanes(position.draws.size());
    for (;;) {
      auto made = make(position, lanes);
      position = made.after;
      std::unique_lock lock(mutex_);
      space_.wait(lock, [&] { return static_cast<int64_t>(queue_.size()) < options_.prefetch || stopping_; });
      if (stopping_) return;
      queue_.push_back(std::move(made));
      ready_.notify_one();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    error_ = std::current_exception();
    ready_.notify_one();
  }
}

GlobalStep Loader::next() {
  if (!thread_.joinable()) start();
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [&] { return !queue_.empty() || error_; });
  if (queue_.empty()) std::rethrow_exception(error_);
  auto made = std::move(queue_.front());
  queue_.pop_front();
  position_ = std::move(made.after);
  space_.notify_one();
  return std::move(made.step);
}

void Loader::count_broken(size_t domain, int64_t num_broken, const std::string& problem, Filled& filled) {
  filled.counts[domain].skipped += num_broken;
  if (filled.problems[domain].empty()) filled.problems[domain] = problem;
}

// The documents of the lane's draw that are in no row yet, after draws of which none can be made.
void Loader::draw(size_t index, Position& position, Lane& state, Filled& filled) const {
  auto& draws = position.draws[index];
  for (int64_t broken = 0;; ++draws) {
    const int64_t number = options_.first_lane + static_cast<int64_t>(index) + draws * options_.rows;
    const auto drawn = mixture_.draw(number);
    const auto& maker = makers_[drawn.source];
    std::vector<int64_t> episodes;
    for (int64_t i = 0; i < maker.episodes_per_draw(); ++i)
      episodes.push_back(mixture_.index(drawn.source, drawn.count * maker.episodes_per_draw() + i));
    auto made = maker.make(number, episodes);
    if (!made.documents.empty()) {
      const auto taken = position.taken[index];
      TORCH_CHECK(taken < static_cast<int64_t>(made.documents.size()), "document ", taken, " of ", made.documents.size());
      state.waiting.assign(std::make_move_iterator(made.documents.begin() + taken),
                           std::make_move_iterator(made.documents.end()));
      state.num_broken = made.num_broken;
      state.problem = std::move(made.problem);
      return;
    }
    count_broken(drawn.source, made.num_broken, made.problem, filled);
    if ((broken += made.num_broken) >= kMostBroken)
      throw Error(std::to_string(broken) + " samples one after the other could not be made; the last of '" +
                      domain_names_[drawn.source] + "': " + made.problem,
                  "");
  }
}

void Loader::fill(size_t index, Position& position, Lane& state, Filled& filled) const {
  int64_t room = options_.context;
  for (;;) {
    if (state.waiting.empty()) draw(index, position, state, filled);
    auto& sample = state.waiting.front();
    const int64_t tokens = sequencer_->num_tokens(sample);
    // Neither would ever end: a document that no row holds, and documents that fill no row.
    TORCH_CHECK(tokens > 0 && tokens <= options_.context, "a document of ", tokens, " tokens in rows of ", options_.context);
    if (tokens > room) return;
    room -= tokens;
    auto &draws = position.draws[index], &taken = position.taken[index];
    const auto domain = static_cast<size_t>(sample.domain);
    // With the first document, so that it is counted once, wherever the run is stopped.
    if (taken == 0) count_broken(domain, state.num_broken, state.problem, filled);
    auto& count = filled.counts[domain];
    ++count.samples;
    count.tokens += tokens;
    count.clipped += sample.timesteps.num_clipped();
    count.prompted += sample.prompt_steps > 0 ? 1 : 0;
    filled.row.push_back(std::move(sample));
    state.waiting.pop_front();
    taken = state.waiting.empty() ? 0 : taken + 1;
    draws += state.waiting.empty() ? 1 : 0;
  }
}

Loader::Made Loader::make(Position position, std::vector<Lane>& lanes) const {
  const auto num_domains = domain_names_.size(), num_rows = lanes.size(), per_micro = static_cast<size_t>(options_.micro_rows);
  std::vector<Filled> filled(num_rows, {{}, std::vector<DomainCounts>(num_domains), std::vector<std::string>(num_domains)});
  std::deque<RowsInOrder> micro;
  for (size_t first = 0; first < num_rows; first += per_micro) {
    const auto size = static_cast<int64_t>(std::min(per_micro, num_rows - first)), num_slots = size * options_.context;
    const int64_t num_patches = std::min(most_patches_, num_slots);
    micro.emplace_back(*sequencer_, size, options_.context, static_cast<int64_t>(num_domains));
    micro.back().reserve(num_slots - num_patches, num_patches);
  }
  parallel_for_each(num_rows, static_cast<size_t>(options_.workers), [&](size_t i) {
    const auto lane = options_.first_lane + static_cast<int64_t>(i);
    fill(i, position, lanes[i], filled[i]);
    micro[i / per_micro].add(i % per_micro, std::move(filled[i].row),
                             Random(hash_key(options_.seed, 0x706f730a, position.step, lane)));
  });
  Made made{.step = finish(micro, filled)};
  ++position.step;
  made.after = std::move(position);
  return made;
}

GlobalStep Loader::finish(std::deque<RowsInOrder>& micro, const std::vector<Filled>& lanes) const {
  GlobalStep result;
  result.micro_batches.resize(micro.size());
  parallel_for_each(micro.size(), static_cast<size_t>(options_.workers), [&](size_t m) {
    auto& batch = result.micro_batches[m];
    batch = micro[m].finish();
    if (options_.pin) batch = batch.pinned();
  });
  for (const auto& batch : result.micro_batches) most_patches_ = std::max(most_patches_, batch.layout.patch_index.size(0));
  const auto num_domains = domain_names_.size();
  result.counts.resize(num_domains);
  result.problems.resize(num_domains);
  for (size_t d = 0; d < num_domains; ++d) {
    for (const auto& lane : lanes) {
      result.counts[d] += lane.counts[d];
      if (result.problems[d].empty()) result.problems[d] = lane.problems[d];
    }
    for (const auto& batch : result.micro_batches) result.counts[d].targets += batch.target_counts[d];
  }
  return result;
}

std::string Loader::state() const {
  return nlohmann::json{{"step", position_.step}, {"draws", position_.draws}, {"taken", position_.taken}}.dump();
}

std::string Loader::merged(const std::vector<std::string>& states) const {
  auto whole = nlohmann::json::parse(states.front());
  for (size_t r = 1; r < states.size(); ++r) {
    const auto part = nlohmann::json::parse(states[r]);
    TORCH_CHECK(part.at("step") == whole.at("step"), "positions after ", whole.at("step").dump(), " and ",
                part.at("step").dump(), " steps");
    for (const char* lanes : {"draws", "taken"})
      whole[lanes].insert(whole[lanes].end(), part[lanes].begin(), part[lanes].end());
  }
  return whole.dump();
}

void Loader::set_state(const std::string& state) {
  Position position;
  try {
    const auto json = nlohmann::json::parse(state);
    position = {json.at("step").get<int64_t>(), json.at("draws").get<std::vector<int64_t>>(), {}};
    // Older checkpoints are of runs whose draws made one document each.
    position.taken = json.value("taken", std::vector<int64_t>(position.draws.size(), 0));
  } catch (const nlohmann::json::exception& failure) {
    throw Error(std::string("the saved data position cannot be read: ") + failure.what(), "resume from another checkpoint");
  }
  if (static_cast<int64_t>(position.draws.size()) != options_.rows)
    throw Error("the saved data position is of " + std::to_string(position.draws.size()) + " rows, the configuration has " +
                    std::to_string(options_.rows),
                "resume with the train.rows the run was started with");
  if (position.taken.size() != position.draws.size())
    throw Error("the saved data position is not whole", "resume from another checkpoint");
  stop();
  for (auto* lanes : {&position.draws, &position.taken}) {
    const auto first = lanes->begin() + options_.first_lane;
    *lanes = {first, first + options_.num_lanes};
  }
  position_ = std::move(position);
}

}  // namespace mugato::data
