#include "mugato/train/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace mugato {
namespace {

std::string format(const char* pattern, double value) {
  if (!std::isfinite(value)) return "-";
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

// What fits on one line of the terminal: a bar that is wrapped is not overwritten by the next.
std::string fitted(const std::string& text, std::FILE* terminal) {
  winsize size{};
  if (ioctl(fileno(terminal), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return text;
  return text.substr(0, size.ws_col - 1U);
}

// Exponential mean that starts at the first value and leaves out what is not a number (a domain without a target).
void smooth(double& mean, double value, bool first) {
  if (std::isfinite(value)) mean = first || !std::isfinite(mean) ? value : 0.95 * mean + 0.05 * value;
}

}  // namespace

std::string duration_text(double seconds) {
  const auto total = static_cast<long long>(seconds + 0.5);
  char text[64];
  if (total >= 3600) std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", total / 3600, total / 60 % 60, total % 60);
  else std::snprintf(text, sizeof text, "%lld:%02lld", total / 60, total % 60);
  return text;
}

ProgressConsole::ProgressConsole(std::FILE* out, std::vector<std::string> domains, double seconds_between_lines)
    : out_(out),
      terminal_(isatty(fileno(out)) != 0),
      domains_(std::move(domains)),
      seconds_between_lines_(seconds_between_lines),
      smooth_loss_(domains_.size(), NAN) {}

ProgressConsole::~ProgressConsole() {
  if (bar_shown_) std::fputs("\n", out_);
}

std::string ProgressConsole::text(const StepReport& report) const {
  std::string text;
  if (terminal_) {
    constexpr int64_t kWidth = 20;
    text = "[";
    for (int64_t i = 0; i < kWidth; ++i) text += i * report.num_steps < kWidth * report.step ? '=' : ' ';
    text += "] ";
  }
  text += "step " + std::to_string(report.step) + "/" + std::to_string(report.num_steps) + "  loss " +
          format("%.3f", smooth_total_);
  for (size_t d = 0; d < domains_.size(); ++d) text += "  " + domains_[d] + " " + format("%.3f", smooth_loss_[d]);
  text += "  " + format("%.1fk tokens/s", slots_ / smooth_seconds_ / 1000.0) + " (" +
          format("%.0f%% useful", 100.0 * tokens_ / slots_) + ")";
  return text + "  left " + duration_text(smooth_seconds_ * static_cast<double>(report.num_steps - report.step));
}

void ProgressConsole::step(const StepReport& report) {
  const bool first = slots_ == 0.0;
  smooth(smooth_total_, report.loss, first);
  smooth(smooth_seconds_, report.seconds, first);
  smooth(slots_, static_cast<double>(report.slots), first);
  smooth(tokens_, static_cast<double>(report.tokens), first);
  for (size_t d = 0; d < domains_.size(); ++d) smooth(smooth_loss_[d], report.domain_loss[d], first);
  const auto now = std::chrono::steady_clock::now();
  const double since = std::chrono::duration<double>(now - last_).count();
  if (since < (terminal_ ? 0.1 : seconds_between_lines_) && report.step < report.num_steps) return;
  last_ = now;
  if (terminal_) std::fprintf(out_, "\r\033[K%s", fitted(text(report), out_).c_str());
  else std::fprintf(out_, "%s\n", text(report).c_str());
  bar_shown_ = terminal_;
  std::fflush(out_);
}

void ProgressConsole::line(const std::string& text) {
  std::fprintf(out_, bar_shown_ ? "\r\033[K%s\n" : "%s\n", text.c_str());
  bar_shown_ = false;
  std::fflush(out_);
}

}  // namespace mugato
