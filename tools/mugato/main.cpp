// The program `mugato`: every subcommand is a thin layer over the library.
#include <malloc.h>

#include <csignal>
#include <cstdio>

#include "commands.h"
#include "mugato/core/error.h"
#include "mugato/core/registry.h"
#include "mugato/core/version.h"

// The MKL inside LibTorch asks this function whether to use its AVX-512 and AVX2 kernels, and by itself says no on processors
// of other makers that have them: matrix products then run at about 0.7 of their speed. MKL still asks the processor which
// instruction sets there are, so yes is safe everywhere.
extern "C" int mkl_serv_intel_cpu_true() { return 1; }

namespace {

// glibc gives large freed buffers back to the kernel at once; the page faults of the next step would cost up to half of it.
void keep_freed_memory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
}

// The first line says what is wrong, the one after it is the hint: no stack trace of LibTorch in between.
std::string first_line(const char* text) {
  const std::string whole = text;
  return whole.substr(0, whole.find('\n'));
}

// The subcommand that the first words name, as "mugato data inspect". The parser says only that one is missing when there is
// one that it does not know: that is an Error here.
std::string called_command(const CLI::App& app, int argc, char** argv) {
  const CLI::App* level = &app;
  std::string command = app.get_name();
  for (int i = 1; i < argc && argv[i][0] != '-' && level->get_require_subcommand_min() > 0; ++i) {
    std::vector<std::string> names;
    const CLI::App* next = nullptr;
    for (const auto* candidate : level->get_subcommands({})) {
      names.push_back(candidate->get_name());
      if (names.back() == argv[i]) next = candidate;
    }
    if (!next)
      throw mugato::Error("unknown subcommand '" + std::string(argv[i]) + "' of " + level->get_name(),
                          "did you mean '" + mugato::nearest_name(argv[i], names) + "'?");
    level = next;
    command += " " + level->get_name();
  }
  return command;
}

std::string version_text() {
  const auto versions = mugato::versions();
  const auto library = [](const std::string& name, const std::string& version) {
    return name + " " + (version.empty() ? "none" : version) + "\n";
  };
  return "mugato " + versions.mugato + "\n" + library("LibTorch", versions.libtorch) + library("CUDA", versions.cuda) +
         library("cuDNN", versions.cudnn) + library("NCCL", versions.nccl) + "GPUs " + std::to_string(versions.num_gpus) +
         "\nCPU capability " + versions.cpu_capability;
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of write(), not the end of the program
  CLI::App app("Train and run generalist agents in the style of Gato.", "mugato");
  app.require_subcommand(1);
  app.get_formatter()->column_width(36);
  app.set_version_flag("--version", version_text, "versions of mugato and its libraries, GPUs, CPU capability");
  int exit_code = 0;
  std::string command = "mugato";
  mugato::program::add_train(app, argv[0], exit_code);
  mugato::program::add_eval(app);
  mugato::program::add_rollout(app);
  mugato::program::add_info(app);
  mugato::program::add_data(app, exit_code);
  mugato::program::add_tour(app);
  mugato::program::add_bench(app);
  try {
    command = called_command(app, argc, argv);
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::fprintf(stderr, "mugato: %s\nhint: %s --help\n", first_line(error.what()).c_str(), command.c_str());
    return 2;
  } catch (const mugato::Error& error) {
    std::fprintf(stderr, "mugato: %s\n", error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mugato: %s\nhint: this is a failure of the machine or of mugato itself, not of your input\n",
                 first_line(error.what()).c_str());
    return 1;
  }
  return exit_code;
}
