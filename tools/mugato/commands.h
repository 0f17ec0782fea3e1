// The subcommands: each adds itself to the program and runs when it is named.
#pragma once

#include <CLI/CLI.hpp>

namespace mugato::program {

// exit_code is what the program returns when nothing is thrown: 130 after Ctrl-C, 1 when `data lint` found something.
// `program` is how it was called.
void add_train(CLI::App& app, const std::string& program, int& exit_code);
void add_eval(CLI::App& app);
void add_rollout(CLI::App& app);
void add_info(CLI::App& app);
void add_data(CLI::App& app, int& exit_code);
void add_data_sources(CLI::App& data);
void add_data_inspect(CLI::App& data);
void add_data_digest(CLI::App& data);
void add_data_stats(CLI::App& data);
void add_data_lint(CLI::App& data, int& exit_code);
void add_data_make(CLI::App& data);
void add_tour(CLI::App& app);
void add_bench(CLI::App& app);
void add_tokenizer(CLI::App& app);

}  // namespace mugato::program
