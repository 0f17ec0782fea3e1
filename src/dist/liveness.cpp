#include "liveness.h"

#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "mugato/core/text.h"

namespace mugato::dist {
namespace {

struct Sign {
  int64_t count = 0;  // of beats; 0: none was ever seen
  std::string name, doing;
};

std::string sign_key(int64_t rank) { return "sign/" + std::to_string(rank); }
std::string failure_key(int64_t rank) { return "failure/" + std::to_string(rank); }

}  // namespace

struct Liveness::State {
  c10::intrusive_ptr<c10d::Store> store;
  int64_t rank, size;
  std::string name;
  std::chrono::milliseconds every;

  std::mutex mutex, store_mutex;  // of what follows; of the store
  std::condition_variable wake;
  std::string doing = "starting";
  int64_t count = 0;
  bool stopping = false;

  void set(const std::string& key, const std::string& value) {
    const std::lock_guard lock(store_mutex);
    store->set(key, std::vector<uint8_t>(value.begin(), value.end()));
  }

  // Empty for a key that nobody set.
  std::string get(const std::string& key) {
    const std::lock_guard lock(store_mutex);
    if (!store->check({key})) return {};
    const auto value = store->get(key);
    return {value.begin(), value.end()};
  }

  void beat() {
    nlohmann::json sign;
    {
      const std::lock_guard lock(mutex);
      sign = {{"count", ++count}, {"name", name}, {"doing", doing}};
    }
    set(sign_key(rank), sign.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, every, [&] { return stopping; })) {
      lock.unlock();
      try {
        beat();
      } catch (const std::exception&) {
        return;  // the store is gone: the next collective fails, and says so
      }
      lock.lock();
    }
  }

  Sign sign_of(int64_t other) {
    const auto text = get(sign_key(other));
    if (text.empty()) return {0, "rank " + std::to_string(other), "nothing"};
    const auto json = nlohmann::json::parse(text);
    return {json.at("count"), json.at("name"), json.at("doing")};
  }

  std::string blame() {
    std::vector<Sign> before;
    for (int64_t r = 0; r < size; ++r) before.push_back(sign_of(r));
    std::this_thread::sleep_for(every * 5 / 2);  // whoever lives gives a sign in this time, and whoever fails has said why
    std::vector<std::string> failed, silent, elsewhere;
    for (int64_t r = 0; r < size; ++r) {
      if (r == rank) continue;
      const auto sign = sign_of(r);
      const auto why = get(failure_key(r));
      if (!why.empty()) failed.push_back(sign.name + " failed: " + why);
      else if (sign.count == before[static_cast<size_t>(r)].count)
        silent.push_back(sign.name + " gives no sign of life; its last was: " + sign.doing);
      else if (const std::lock_guard lock(mutex); sign.doing != doing)
        elsewhere.push_back(sign.name + " is still at: " + sign.doing);
    }
    for (const auto& list : {failed, silent, elsewhere})
      if (!list.empty()) return comma_separated(list);
    return "all processes are alive, and one of them cannot be reached";
  }
};

namespace {

// The result of `action` when it comes in time; else it goes on by itself, with all that it holds.
template <class Action>
auto in_background(Action action) {
  std::packaged_task<decltype(action())()> task(std::move(action));
  auto result = task.get_future().share();
  std::thread(std::move(task)).detach();
  return result;
}

}  // namespace

Liveness::Liveness(c10::intrusive_ptr<c10d::Store> store, int64_t rank, int64_t size, const std::string& name,
                   std::chrono::milliseconds every)
    : state_(std::make_shared<State>()) {
  state_->store = std::move(store);
  state_->rank = rank;
  state_->size = size;
  state_->name = name;
  state_->every = every;
  state_->beat();  // all are known from the first collective on
  ended_ = in_background([state = state_] { state->run(); });
}

Liveness::~Liveness() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  ended_.wait_for(2 * state_->every);
}

void Liveness::doing(const std::string& what) {
  const std::lock_guard lock(state_->mutex);
  state_->doing = what;
}

void Liveness::fail(const std::string& why) noexcept {
  try {
    in_background([state = state_, why] { state->set(failure_key(state->rank), why); }).wait_for(2 * state_->every);
  } catch (const std::exception&) {  // nobody to tell
  }
}

std::string Liveness::blame() const {
  constexpr const char* kNoStore = "the store does not answer: rank 0, which has it, is gone or cannot be reached";
  try {
    const auto blamed = in_background([state = state_] { return state->blame(); });
    return blamed.wait_for(8 * state_->every) == std::future_status::ready ? blamed.get() : kNoStore;
  } catch (const std::exception&) {
    return kNoStore;
  }
}

}  // namespace mugato::dist
