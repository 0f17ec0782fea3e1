#include <cstdio>
#include <nlohmann/json.hpp>

#include "data_choice.h"
#include "mugato/data/lint.h"

namespace mugato::program {
namespace {

using nlohmann::json;

// Returns how many kinds of defects there are.
size_t print_findings(const DataChoice& choice, bool as_json) {
  const run::Registries registries;
  json all = json::object();
  size_t num_findings = 0;
  for (const auto& chosen : choose(choice, registries, View::kFound).sources) {
    const auto findings = data::lint(*chosen.source, chosen.num_episodes);
    num_findings += findings.size();
    auto& of_source = all[chosen.entry.domain()] = json::array();
    for (const auto& finding : findings) {
      of_source.push_back(
          {{"kind", finding.kind}, {"field", finding.field}, {"count", finding.count}, {"example", finding.example}});
      if (!as_json)
        std::printf("%s: %s%s: %lld, the first: %s\n", chosen.entry.domain().c_str(), finding.kind.c_str(),
                    finding.field.empty() ? "" : (" in " + finding.field).c_str(), static_cast<long long>(finding.count),
                    finding.example.c_str());
    }
    if (!as_json && findings.empty())
      std::printf("%s: nothing wrong in %lld episodes\n", chosen.entry.domain().c_str(),
                  static_cast<long long>(chosen.num_episodes));
  }
  if (as_json) std::printf("%s\n", all.dump(2).c_str());
  return num_findings;
}

}  // namespace

void add_data_lint(CLI::App& data, int& exit_code) {
  auto* command = data.add_subcommand(
      "lint",
      "What is wrong with data: values out of range, NaN, constant dimensions, empty text, lengths that differ, duplicates; "
      "exit code 1 when something is");
  auto choice = std::make_shared<DataChoice>();
  auto as_json = std::make_shared<bool>(false);
  add_choice(*command, *choice);
  command->add_flag("--json", *as_json, "one JSON object, by name of the entry");
  command->callback([choice, as_json, &exit_code] { exit_code = print_findings(*choice, *as_json) > 0 ? 1 : 0; });
}

}  // namespace mugato::program
