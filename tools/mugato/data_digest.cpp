#include <cstdio>
#include <nlohmann/json.hpp>

#include "data_choice.h"
#include "mugato/data/digest.h"

namespace mugato::program {
namespace {

using nlohmann::json;

// "image        uint8 (7,56,56,3) crc32 ... sum ..."
void print_leaf(const std::string& name, const json& leaf) {
  if (leaf.contains("kind")) {
    std::printf("    %-24s %lld texts, crc32 %u\n", name.c_str(), leaf["length"].get<long long>(),
                leaf["crc32"].get<unsigned>());
    return;
  }
  std::printf("    %-24s %s %s, crc32 %u", name.c_str(), leaf["dtype"].get<std::string>().c_str(), leaf["shape"].dump().c_str(),
              leaf["crc32"].get<unsigned>());
  if (leaf.contains("sum")) std::printf(", sum %.17g", leaf["sum"].get<double>());
  std::printf("\n");
}

void print_episode(const json& episode) {
  std::printf("  %s: %lld timesteps\n", episode["id"].dump().c_str(), episode["total_steps"].get<long long>());
  for (const auto& [name, item] : episode.items()) {
    if (!item.is_object() || name == "attributes") continue;
    if (item.contains("crc32")) {
      print_leaf(name, item);
    } else {
      for (const auto& [leaf, value] : item.items()) print_leaf(leaf.empty() ? name : name + "/" + leaf, value);
    }
  }
}

// One JSON object, written episode by episode: a large data set never lies in memory.
void print_json(const ChosenSource& chosen) {
  std::string head = chosen.source->about();
  head.pop_back();  // the closing brace
  std::printf("%s%s\"source\":%s,\"episodes\":[", head.c_str(), head == "{" ? "" : ",",
              json(chosen.entry.source).dump().c_str());
  int64_t num_steps = 0;
  for (int64_t i = 0; i < chosen.num_episodes; ++i) {
    const auto raw = chosen.source->raw(i);
    num_steps += raw.num_steps;
    std::printf("%s\n%s", i == 0 ? "" : ",", data::digest(raw).c_str());
  }
  std::printf("],\n\"total_episodes\":%lld,\"total_steps\":%lld}\n", static_cast<long long>(chosen.num_episodes),
              static_cast<long long>(num_steps));
}

void print_text(const ChosenSource& chosen) {
  std::printf("%s: %lld episodes\n", chosen.entry.domain().c_str(), static_cast<long long>(chosen.num_episodes));
  for (int64_t i = 0; i < chosen.num_episodes; ++i) print_episode(json::parse(data::digest(chosen.source->raw(i))));
}

}  // namespace

void add_data_digest(CLI::App& data) {
  auto* command =
      data.add_subcommand("digest", "What a reader reads: shape, type, checksum, sum of every leaf field of every episode");
  auto choice = std::make_shared<DataChoice>();
  auto as_json = std::make_shared<bool>(false);
  add_choice(*command, *choice);
  command->add_flag("--json", *as_json, "one JSON object a source");
  command->callback([choice, as_json] {
    const run::Registries registries;
    for (const auto& chosen : choose(*choice, registries, View::kFound).sources)
      *as_json ? print_json(chosen) : print_text(chosen);
  });
}

}  // namespace mugato::program
