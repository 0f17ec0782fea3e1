#include "mugato/data/facts.h"

#include <nlohmann/json.hpp>

#include "mugato/core/error.h"

namespace mugato::data {

std::string to_json(const DataFacts& facts) {
  auto json = nlohmann::json::object();
  for (const auto& [domain, entry] : facts) json[domain] = {{"episodes", entry.episodes}, {"found", entry.found}};
  return json.dump(2) + "\n";
}

DataFacts parse_facts(const std::string& text, const std::string& origin) {
  try {
    const auto json = nlohmann::json::parse(text);
    DataFacts facts;
    for (const auto& [domain, entry] : json.items())
      facts[domain] = {.episodes = entry.at("episodes").get<int64_t>(), .found = entry.at("found").get<int64_t>()};
    return facts;
  } catch (const nlohmann::json::exception& failure) {
    throw Error(origin + ": not the facts of a run's data: " + failure.what(), "take another checkpoint");
  }
}

}  // namespace mugato::data
