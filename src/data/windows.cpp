#include "mugato/data/windows.h"

#include "mugato/core/error.h"

namespace mugato::data {
namespace {

// A window at random such that every timestep is equally likely to be in it, of the longest windows from each timestep on.
//
// Cut the episode into windows one after the other, the first of k timesteps and the others the longest from where they start,
// for every k that fits. Every timestep is in just one window of each of these cuts. So a window drawn uniformly among those of
// all cuts holds each timestep with the same probability. Where timesteps are equally long, that is a window of L timesteps
// that starts anywhere from L - 1 before the episode to its last timestep, less what lies outside.
Window draw_window(const std::vector<Window>& longest, Random& random) {
  const auto num_steps = static_cast<int64_t>(longest.size()), most_first = longest[0].length;
  std::vector<int64_t> num_cuts(longest.size() + 1, 0);  // that have a window which starts there
  std::fill_n(num_cuts.begin() + 1, most_first, 1);
  int64_t num_later = 0;
  for (int64_t s = 1; s < num_steps; ++s) {
    num_later += num_cuts[static_cast<size_t>(s)];
    num_cuts[static_cast<size_t>(s + longest[static_cast<size_t>(s)].length)] += num_cuts[static_cast<size_t>(s)];
  }
  int64_t drawn = random.between(1 - most_first, num_later);
  if (drawn <= 0) return {0, most_first + drawn};
  size_t start = 1;
  while (drawn > num_cuts[start]) drawn -= num_cuts[start++];
  return longest[start];
}

}  // namespace

WindowCutter::WindowCutter(std::shared_ptr<const Schema> schema, Options options, const Tokenizer& tokenizer,
                           const Sequencer& sequencer)
    : schema_(std::move(schema)), options_(options), tokenizer_(tokenizer), sequencer_(sequencer) {}

void WindowCutter::check_steps(const Episode& episode) const {
  if (episode.num_steps < 1) throw Error(episode.id + " has no timesteps", "leave it out of the source");
  if (schema_->is_text_document() && episode.num_steps > 1)
    throw Error(episode.id + " is a text document of " + std::to_string(episode.num_steps) + " timesteps",
                "make it one text, or one episode of each");
}

std::vector<int64_t> WindowCutter::document_tokens(const Episode& episode) const {
  auto tokens = tokenizer_.tokens_per_step(*schema_, episode);
  const int64_t extra = sequencer_.num_extra_tokens(*schema_, 1);
  for (auto& count : tokens) count += extra;
  return tokens;
}

int64_t WindowCutter::longest_step(const Episode& episode) const {
  check_steps(episode);
  const auto tokens = document_tokens(episode);
  return *std::max_element(tokens.begin(), tokens.end());
}

std::vector<Window> WindowCutter::longest_windows(const Episode& episode, int64_t room) const {
  const auto tokens = document_tokens(episode);
  const int64_t once = sequencer_.num_extra_tokens(*schema_, 0);  // of a document, however many timesteps it has
  const int64_t most = options_.max_steps > 0 ? options_.max_steps : episode.num_steps;
  std::vector<Window> windows;
  int64_t end = 0, sum = once;  // of the window that grows at its end and shrinks at its start
  for (int64_t start = 0; start < episode.num_steps; ++start) {
    for (; end < episode.num_steps && end - start < most; ++end) {
      const int64_t added = tokens[static_cast<size_t>(end)] - once;
      if (sum + added > room) break;
      sum += added;
    }
    windows.push_back({start, end - start});
    if (end == start) ++end;
    else sum -= tokens[static_cast<size_t>(start)] - once;
  }
  return windows;
}

void WindowCutter::check_fits(const Episode& episode, const std::vector<Window>& windows) const {
  for (const auto& window : windows)
    if (window.length == 0)
      throw Error(episode.id + ": timestep " + std::to_string(window.start) + " alone has " +
                      std::to_string(document_tokens(episode)[static_cast<size_t>(window.start)]) +
                      " tokens, train.context is " + std::to_string(options_.context),
                  "raise train.context or make the observations smaller");
}

Sample WindowCutter::sample(const Episode& episode, Window window) const {
  const bool is_whole = window.length == episode.num_steps;
  auto timesteps = is_whole ? tokenizer_.tokenize(*schema_, episode, options_.patches)
                            : tokenizer_.tokenize(*schema_, slice(episode, window), options_.patches);
  Sample sample{schema_, std::move(timesteps), options_.domain};
  sample.timesteps.ends = episode.ends && window.start + window.length == episode.num_steps;
  return sample;
}

// A separator where the text begins, the end id where it ends; room for the end is kept everywhere.
Sample WindowCutter::crop_text(Sample sample, int64_t start) const {
  auto& field = sample.timesteps.fields[0];
  sample.timesteps.starts = sample.timesteps.starts && start == 0;
  const int64_t room = options_.context - (sample.timesteps.starts ? 2 : 1);
  const int64_t length = std::min(room, field.tokens_per_step() - start);
  sample.timesteps.ends = sample.timesteps.ends && start + length == field.tokens_per_step();
  field.tokens = field.tokens.narrow(1, start, length);
  field.valid = field.valid.narrow(1, start, length);
  return sample;
}

Sample WindowCutter::random(const Episode& episode, Random& random, int64_t room) const {
  check_steps(episode);
  if (schema_->is_text_document()) {
    auto document = sample(episode, {0, 1});
    const int64_t excess = document.timesteps.fields[0].tokens_per_step() + 2 - options_.context;
    // The last start leaves a full row: a part that does not begin the text has no separator.
    return excess > 0 ? crop_text(std::move(document), random.between(0, std::max<int64_t>(1, excess - 1))) : document;
  }
  const auto windows = longest_windows(episode, room);
  check_fits(episode, windows);
  if (windows[0].length == episode.num_steps) return sample(episode, windows[0]);
  return sample(episode, draw_window(windows, random));
}

std::optional<Sample> WindowCutter::prompt(const Episode& episode, int64_t room, bool from_end, Random& random) const {
  check_steps(episode);
  const auto windows = longest_windows(episode, room);
  const auto is_empty = [](const Window& window) { return window.length == 0; };
  if (std::any_of(windows.begin(), windows.end(), is_empty)) return std::nullopt;
  if (windows[0].length == episode.num_steps) return sample(episode, windows[0]);
  const auto reaches_end = [&](const Window& window) { return window.start + window.length == episode.num_steps; };
  return sample(episode, from_end ? *std::find_if(windows.begin(), windows.end(), reaches_end) : draw_window(windows, random));
}

std::vector<Sample> WindowCutter::all(const Episode& episode) const {
  check_steps(episode);
  std::vector<Sample> samples;
  if (schema_->is_text_document()) {
    // The first part has two tokens at least: parts overlap by one, so with less none would get further.
    TORCH_CHECK(options_.context >= 4, "text in rows of ", options_.context);
    const auto document = sample(episode, {0, 1});
    const int64_t num_tokens = document.timesteps.fields[0].tokens_per_step();
    for (int64_t start = 0, end = 0; samples.empty() || end < num_tokens; start = end - 1) {
      samples.push_back(crop_text(document, start));
      end = start + samples.back().timesteps.fields[0].tokens_per_step();
    }
    return samples;
  }
  for (const auto& window : windows(episode)) samples.push_back(sample(episode, window));
  return samples;
}

std::vector<Window> WindowCutter::windows(const Episode& episode) const {
  check_steps(episode);
  if (schema_->is_text_document()) return {{0, 1}};
  const auto longest = longest_windows(episode, options_.context);
  check_fits(episode, longest);
  std::vector<Window> cut;
  for (int64_t start = 0; start < episode.num_steps; start += cut.back().length)
    cut.push_back(longest[static_cast<size_t>(start)]);
  return cut;
}

}  // namespace mugato::data
