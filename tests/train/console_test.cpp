#include "mugato/train/console.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>

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

// The lines that a terminal shows after this text, of the control sequences that a drawing is made of.
std::vector<std::string> screen(const std::string& text) {
  std::vector<std::string> lines(1);
  size_t row = 0, column = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') column = 0;
    else if (text[i] == '\n') lines.resize(std::max(lines.size(), ++row + 1));
    else if (text[i] != '\033') lines[row].replace(column++, 1, 1, text[i]);
    else if (const size_t end = text.find_first_of("AJ", i); text[end] == 'A') {
      row -= std::stoul(text.substr(i + 2, end - i - 2));
      i = end;
    } else {
      lines.resize(row + 1);
      lines[row].resize(column);
      i = end;
    }
  }
  return lines;
}

TEST(Console, ADrawingOnATerminalReplacesTheOneBefore) {
  const auto lines = screen(on_terminal(100, [](std::FILE* file) {
    ProgressConsole console(file, {"left", "right"});
    console.line("resuming");
    console.step(report_of(5, 10));
    console.line("an evaluation");
    console.step(report_of(10, 10));
    console.step(report_of(10, 10));
  }));
  EXPECT_EQ(lines,
            (std::vector<std::string>{"resuming", "an evaluation",
                                      "[====================] step 10/10  loss 2.500  2.0k tokens/s (90% useful)  left 0:00",
                                      "left 1.250  right -", ""}));
}

TEST(Console, TheQuickStartFitsIntoEightyColumns) {
  auto report = report_of(1250, 5000);
  report.loss = 10.5;
  report.domain_loss = {10.125, 10.25, 10.375, 10.5};
  report.seconds = 1.5;
  const auto lines = screen(on_terminal(80, [&](std::FILE* file) {
    ProgressConsole console(file, {"four_rooms", "point_maze", "shapes_qa", "stories"});
    console.step(report);
  }));
  EXPECT_EQ(lines, (std::vector<std::string>{"[==     ] step 1250/5000  loss 10.500  0.7k tokens/s (90% useful)  left 1:33:45",
                                             "four_rooms 10.125  point_maze 10.250  shapes_qa 10.375  stories 10.500", ""}));
  for (const auto& line : lines) EXPECT_LT(line.size(), 80U);
}

TEST(Console, NarrowTerminalsWrapBetweenDomainsAndLoseTheBarFirst) {
  const auto lines = screen(on_terminal(40, [&](std::FILE* file) {
    ProgressConsole console(file, {"a_domain_with_a_name", "another_domain_of_the_mixture"});
    console.step(report_of(5, 10));
  }));
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[0].rfind("step 5/10  loss 2.500", 0), 0U) << lines[0];
  EXPECT_EQ(lines[1], "a_domain_with_a_name 1.250");
  EXPECT_EQ(lines[2], "another_domain_of_the_mixture -");
  for (const auto& line : lines) EXPECT_LT(line.size(), 40U) << "wrapped lines are not overwritten: " << line;
}

}  // namespace
}  // namespace mugato
