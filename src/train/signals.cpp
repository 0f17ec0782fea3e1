#include "mugato/train/signals.h"

#include <c10/util/Exception.h>

#include <atomic>

namespace mugato {
namespace {

// A signal handler can reach nothing else.
std::atomic<int> received{0};
std::atomic<bool> in_use{false};
static_assert(std::atomic<int>::is_always_lock_free, "only lock-free atomics may be touched in a signal handler");

constexpr std::array<int, 4> kSignals = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};

extern "C" void remember_signal(int signal) {
  int none = 0;
  received.compare_exchange_strong(none, signal);
}

}  // namespace

StopSignal::StopSignal() {
  TORCH_CHECK(!in_use.exchange(true), "there is a StopSignal already");
  received = 0;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    struct sigaction action = {};
    action.sa_handler = remember_signal;
    // Only Ctrl-C is a person losing patience: schedulers repeat the others.
    action.sa_flags = SA_RESTART | (kSignals[i] == SIGINT ? static_cast<int>(SA_RESETHAND) : 0);
    sigemptyset(&action.sa_mask);
    TORCH_CHECK(::sigaction(kSignals[i], &action, &previous_[i]) == 0, "cannot handle signal ", kSignals[i]);
    if (kSignals[i] == SIGHUP && previous_[i].sa_handler == SIG_IGN) ::sigaction(SIGHUP, &previous_[i], nullptr);
  }
}

StopSignal::~StopSignal() {
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &previous_[i], nullptr);
  in_use = false;
}

int StopSignal::signal() const { return received; }

}  // namespace mugato
