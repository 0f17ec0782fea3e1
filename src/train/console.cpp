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

struct TerminalSize {
  size_t rows = 24, columns = 80;
};

TerminalSize size_of(std::FILE* terminal) {
  winsize size{};
  if (ioctl(fileno(terminal), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_row, size.ws_col};
}

// As wide as there is room for, at most twenty columns; nothing where it would say nothing.
std::string bar(const StepReport& report, size_t room) {
  const auto width = static_cast<int64_t>(std::min<size_t>(room, 23)) - 3;
  if (width < 4) return "";
  std::string text = "[";
  for (int64_t i = 0; i < width; ++i) text += i * report.num_steps < width * report.step ? '=' : ' ';
  return text + "] ";
}

// As many parts a line as fit whole.
std::vector<std::string> wrapped(const std::vector<std::string>& parts, size_t columns) {
  std::vector<std::string> lines;
  for (const auto& part : parts) {
    if (!lines.empty() && lines.back().size() + 2 + part.size() <= columns) lines.back() += "  " + part;
    else lines.push_back(part.substr(0, columns));
  }
  return lines;
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
      terminal_(out && isatty(fileno(out)) != 0),
      domains_(std::move(domains)),
      seconds_between_lines_(seconds_between_lines),
      smooth_loss_(domains_.size(), NAN) {}

ProgressConsole::~ProgressConsole() {
  if (num_shown_ > 0) std::fputs("\n", out_);
}

std::string ProgressConsole::total_text(const StepReport& report) const {
  return "step " + std::to_string(report.step) + "/" + std::to_string(report.num_steps) + "  loss " +
         format("%.3f", smooth_total_);
}

std::vector<std::string> ProgressConsole::domain_texts() const {
  std::vector<std::string> texts;
  for (size_t d = 0; d < domains_.size(); ++d) texts.push_back(domains_[d] + " " + format("%.3f", smooth_loss_[d]));
  return texts;
}

std::string ProgressConsole::speed_text(const StepReport& report) const {
  return format("%.1fk tokens/s", slots_ / smooth_seconds_ / 1000.0) + " (" +
         format("%.0f%% useful", 100.0 * tokens_ / slots_) + ")  left " +
         duration_text(smooth_seconds_ * static_cast<double>(report.num_steps - report.step));
}

std::string ProgressConsole::line_of(const StepReport& report) const {
  std::string text = total_text(report);
  for (const auto& domain : domain_texts()) text += "  " + domain;
  return text + "  " + speed_text(report);
}

// A line that the terminal wraps would not be overwritten by the next drawing: all are shorter than it is wide.
std::vector<std::string> ProgressConsole::drawing_of(const StepReport& report) const {
  const auto size = size_of(out_);
  const size_t columns = size.columns - 1;
  const std::string text = total_text(report) + "  " + speed_text(report);
  std::vector<std::string> lines{(bar(report, columns - std::min(columns, text.size())) + text).substr(0, columns)};
  for (auto& line : wrapped(domain_texts(), columns)) lines.push_back(std::move(line));
  if (lines.size() >= size.rows) lines.resize(std::max<size_t>(1, size.rows - 1));
  return lines;
}

void ProgressConsole::draw(const std::vector<std::string>& lines) {
  erase();
  for (size_t i = 0; i < lines.size(); ++i) std::fprintf(out_, i > 0 ? "\n%s" : "%s", lines[i].c_str());
  num_shown_ = lines.size();
}

void ProgressConsole::erase() {
  if (num_shown_ > 1) std::fprintf(out_, "\033[%zuA", num_shown_ - 1);
  std::fputs("\r\033[J", out_);
  num_shown_ = 0;
}

void ProgressConsole::step(const StepReport& report) {
  if (!out_) return;
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
  if (terminal_) draw(drawing_of(report));
  else std::fprintf(out_, "%s\n", line_of(report).c_str());
  std::fflush(out_);
}

void ProgressConsole::line(const std::string& text) {
  if (!out_) return;
  if (num_shown_ > 0) erase();
  std::fprintf(out_, "%s\n", text.c_str());
  std::fflush(out_);
}

}  // namespace mugato
