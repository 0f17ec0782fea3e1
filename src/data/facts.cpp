#include "mugato/data/facts.h"

#include <nlohmann/json.hpp>

#include "mugato/core/error.h"

namespace mugato::data {

std::string to_json(const DataFacts& facts) {
  auto json = nlohmann::json::object();
  for (const auto& [domain, entry] : facts) {
    auto ranges = nlohmann::json::object();
    for (const auto& [field, range] : entry.ranges) ranges[field] = {{"low", range.low}, {"high", range.high}};
    json[domain] = {
        {"episodes", entry.episodes}, {"found", entry.found}, {"normalize", entry.normalize}, {"ranges", std::move(ranges)}};
  }
  return json.dump(2) + "\n";
}

DataFacts parse_facts(const std::string& text, const std::string& origin) {
  try {
    const auto json = nlohmann::json::parse(text);
    DataFacts facts;
    for (const auto& [domain, entry] : json.items()) {
      auto& fact = facts[domain];
      fact.episodes = entry.at("episodes").get<int64_t>();
      fact.found = entry.at("found").get<int64_t>();
      fact.normalize = entry.at("normalize").get<std::string>();
      for (const auto& [field, range] : entry.at("ranges").items())
        fact.ranges[field] = {range.at("low").get<std::vector<double>>(), range.at("high").get<std::vector<double>>()};
    }
    return facts;
  } catch (const nlohmann::json::exception& failure) {
    throw Error(origin + ": not the facts of a run's data: " + failure.what(), "take another checkpoint");
  }
}

}  // namespace mugato::data
