// The subcommands: each adds itself to the program and runs when it is named.
#pragma once

#include <CLI/CLI.hpp>

namespace mugato::program {

// `program` is how it was called. Sets what the program returns when nothing is thrown: 0, or 130 after Ctrl-C.
void add_train(CLI::App& app, const std::string& program, int& exit_code);
void add_eval(CLI::App& app);
void add_rollout(CLI::App& app);
void add_info(CLI::App& app);
void add_data(CLI::App& app);
void add_tour(CLI::App& app);
void add_bench(CLI::App& app);
void add_tokenizer(CLI::App& app);

}  // namespace mugato::program
