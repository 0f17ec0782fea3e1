#include "mugato/train/console.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <sstream>

namespace mugato {
namespace {

StepReport report_of(int64_t step, int64_t num_steps) {
  return {.step = step,
          .num_steps = num_steps,
          .loss = 2.5,
          .domain_loss = {1.25, NAN},
          .slots = 1000,
          .tokens = 900,
          .targets = 100,
          .seconds = 0.5};
}

std::string read_all(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  return text;
}

TEST(Console, DurationsAreHoursMinutesAndSeconds) {
  EXPECT_EQ(duration_text(0.0), "0:00");
  EXPECT_EQ(duration_text(59.6), "1:00");
  EXPECT_EQ(duration_text(245.0), "4:05");
  EXPECT_EQ(duration_text(3723.0), "1:02:03");
}

TEST(Console, PlainStreamsGetLinesNowAndThen) {
  std::FILE* file = std::tmpfile();
  {
    ProgressConsole console(file, {"left", "right"}, 3600.0);
    for (int64_t step = 1; step <= 10; ++step) console.step(report_of(step, 10));
    console.line("an evaluation");
  }
  // The first, the last, and the line.
  EXPECT_EQ(read_all(file),
            "step 1/10  loss 2.500  left 1.250  right -  2.0k tokens/s (90% useful)  left 0:05\n"
            "step 10/10  loss 2.500  left 1.250  right -  2.0k tokens/s (90% useful)  left 0:00\n"
            "an evaluation\n");
  std::fclose(file);
}

TEST(Console, PlainStreamsGetEveryStepWhenAskedTo) {
  std::FILE* file = std::tmpfile();
  ProgressConsole console(file, {"left", "right"}, 0.0);
  for (int64_t step = 1; step <= 5; ++step) console.step(report_of(step, 10));
  const auto text = read_all(file);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5);
  std::fclose(file);
}

// What a program writes to a terminal of `columns` columns.
std::string on_terminal(unsigned short columns, const std::function<void(std::FILE*)>& write) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  EXPECT_GE(master, 0);
  EXPECT_EQ(::grantpt(master), 0);
  EXPECT_EQ(::unlockpt(master), 0);
  const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  EXPECT_GE(terminal, 0);
  const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  EXPECT_EQ(::ioctl(terminal, TIOCSWINSZ, &size), 0);
  std::FILE* file = ::fdopen(terminal, "w");
  write(file);
  std::fclose(file);
  std::string text;
  std::array<char, 256> part{};
  for (ssize_t count; (count = ::read(master, part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<size_t>(count));
  ::close(master);
  return text;
}

TEST(Console, ABarOnATerminalIsOneLineThatRedrawsItself) {
  const auto text = on_terminal(60, [](std::FILE* file) {
    ProgressConsole console(file, {"left", "right"});
    console.step(report_of(5, 10));
    console.step(report_of(10, 10));
    console.line("done");
  });
  EXPECT_EQ(text.rfind("\r\033[K[==========          ] step 5/10", 0), 0U) << text;
  EXPECT_NE(text.find("\r\033[K[====================] step 10/10"), std::string::npos) << text;
  EXPECT_NE(text.find("\r\033[Kdone\r\n"), std::string::npos) << text;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, '\r');)
    EXPECT_LT(part.size(), 60U + 3U) << "wrapped bars are not overwritten: " << part;
}

}  // namespace
}  // namespace mugato
