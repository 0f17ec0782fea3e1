// Asked to stop: SIGINT, SIGTERM, SIGUSR1 and SIGHUP set a flag that the training loop reads between steps.
#pragma once

#include <array>
#include <csignal>

namespace mugato {

// Handles the signals while it lives and restores their handlers after. One at a time (TORCH_CHECK). A second SIGINT ends the
// program as it would without this class. A SIGHUP that is ignored, as under nohup, stays so.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool requested() const { return signal() != 0; }
  int signal() const;  // the first that came, 0 when none did

 private:
  std::array<struct sigaction, 4> previous_;
};

}  // namespace mugato
