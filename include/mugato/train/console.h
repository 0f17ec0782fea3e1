// The progress of a run for people: a bar with the losses below it that redraw themselves on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "mugato/train/trainer.h"

namespace mugato {

class ProgressConsole {
 public:
  // `out` is a terminal or not by itself; lines go to a plain stream every `seconds_between_lines`, nothing to none (null).
  ProgressConsole(std::FILE* out, std::vector<std::string> domains, double seconds_between_lines = 10.0);
  ~ProgressConsole();

  void step(const StepReport& report);

  // A line of its own, above the bar: an evaluation, a saved checkpoint.
  void line(const std::string& text);

 private:
  std::string total_text(const StepReport& report) const;
  std::string speed_text(const StepReport& report) const;
  std::vector<std::string> domain_texts() const;
  std::string line_of(const StepReport& report) const;                  // of a plain stream
  std::vector<std::string> drawing_of(const StepReport& report) const;  // the lines on a terminal
  void draw(const std::vector<std::string>& lines);
  void erase();

  std::FILE* out_;
  bool terminal_;
  std::vector<std::string> domains_;
  double seconds_between_lines_;
  std::chrono::steady_clock::time_point last_ = {};
  std::vector<double> smooth_loss_;  // per domain, over about twenty steps
  double smooth_total_ = 0.0, smooth_seconds_ = 0.0, slots_ = 0.0, tokens_ = 0.0;
  size_t num_shown_ = 0;  // lines of the drawing on the terminal
};

// "1:02:03", "4:05"
std::string duration_text(double seconds);

}  // namespace mugato
