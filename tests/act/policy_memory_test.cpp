// What a policy remembers, and that its cache is only a faster way to the same hidden states.
#include <gtest/gtest.h>

#include "acting.h"

namespace mugato::act {
namespace {

struct Memory {
  std::string world;
  int64_t context, max_steps;
};

class CacheTest : public ::testing::TestWithParam<Memory> {};

// Sessions of different ages act side by side, some pause, some start anew; every hidden state is that of an uncached pass.
TEST_P(CacheTest, CachedEqualsUncachedOverLongEpisodes) {
  const Acting acting;
  const auto& [name, context, max_steps] = GetParam();
  constexpr int64_t kSessions = 3;
  std::vector<std::unique_ptr<env::Environment>> worlds;
  std::vector<Observation> observations(kSessions);
  for (int64_t s = 0; s < kSessions; ++s) worlds.push_back(acting.worlds.build(name));
  auto policy = acting.policy(worlds[0]->schema(), kSessions, {.context = context, .max_steps = max_steps, .max_answer = 8});
  uint64_t next_seed = 0;
  const auto begin = [&](int64_t s) {
    policy.reset(s, next_seed);
    observations[static_cast<size_t>(s)] = worlds[static_cast<size_t>(s)]->reset(next_seed++);
  };
  for (int64_t s = 0; s < kSessions; ++s) begin(s);
  Random random(5);
  int64_t num_refills = 0;
  std::vector<int64_t> held(kSessions, 0);
  for (int64_t turn = 0; turn < 90; ++turn) {
    std::vector<int64_t> sessions;
    for (int64_t s = kSessions - 1; s >= 0; --s)
      if (random.chance(0.8)) sessions.push_back(s);  // in another order than the rows
    if (sessions.empty()) continue;
    std::vector<Observation> seen;
    for (const int64_t s : sessions) seen.push_back(observations[static_cast<size_t>(s)]);
    const auto actions = policy.act(sessions, seen);
    ASSERT_EQ(policy.last_hidden().size(0), static_cast<int64_t>(sessions.size()));
    for (size_t i = 0; i < sessions.size(); ++i) {
      const auto s = static_cast<size_t>(sessions[i]);
      expect_close(policy.last_hidden()[static_cast<int64_t>(i)], acting.uncached_hidden(policy, sessions[i]),
                   name + " turn " + std::to_string(turn) + " session " + std::to_string(s));
      const auto batch = policy.uncached(sessions[i]);
      const int64_t tokens = batch.layout.num_tokens(), steps = batch.layout.timestep.max().item<int64_t>() + 1;
      EXPECT_LE(tokens, context);
      if (max_steps > 0) {
        EXPECT_LE(steps, max_steps);
      }
      num_refills += tokens <= held[s];
      held[s] = tokens;
      auto result = worlds[s]->step(actions[i]);
      observations[s] = std::move(result.observation);
      if (result.done) {
        begin(sessions[i]);
        held[s] = 0;
      }
    }
  }
  if (name != "shapes_qa") {
    EXPECT_GE(num_refills, 6) << "the memory never was full";
  }
}

INSTANTIATE_TEST_SUITE_P(Worlds, CacheTest,
                         ::testing::Values(Memory{"four_rooms", 120, 0}, Memory{"four_rooms", 512, 4},
                                           Memory{"four_rooms", 80, 7}, Memory{"point_maze", 64, 0},
                                           Memory{"point_maze", 512, 9}, Memory{"point_maze", 512, 1},
                                           Memory{"shapes_qa", 64, 0}),
                         [](const auto& tested) {
                           return tested.param.world + "_" + std::to_string(tested.param.context) + "_" +
                                  std::to_string(tested.param.max_steps);
                         });

// In every timestep actions, a reply, and, in one of the schemas, a further answer and an action after it.
TEST(Policy, CachedEqualsUncachedWithActionsAndAnswersInEveryTimestep) {
  const Acting acting;
  auto longer = dialogue_schema();
  longer.fields.push_back({.name = "sigh", .role = Role::kAnswer});
  longer.fields.push_back({.name = "zeal", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {3}});
  for (const auto& schema : {dialogue_schema(), longer})
    for (const bool text_observations : {false, true})
      for (const int64_t context : {40, 90, 200}) {
        const auto sequencer = std::make_shared<Sequencer>(acting.tokenizer->vocabulary(), SequencerOptions{text_observations});
        Policy policy(acting.agent, acting.tokenizer, sequencer, schema, 2, {.context = context, .max_answer = 12});
        for (int64_t turn = 0; turn < 40; ++turn) {
          std::vector<int64_t> sessions{0};
          if (turn % 3 != 1) sessions.push_back(1);
          policy.act(sessions, std::vector<Observation>(sessions.size(), dialogue_line(turn)));
          for (size_t i = 0; i < sessions.size(); ++i) {
            EXPECT_LE(policy.uncached(sessions[i]).layout.num_tokens(), context);
            expect_close(policy.last_hidden()[static_cast<int64_t>(i)], acting.uncached_hidden(policy, sessions[i]),
                         "context " + std::to_string(context) + " turn " + std::to_string(turn));
          }
        }
      }
}

// As in training: a reply is over before the next timestep begins, whether the agent ended it or it was too long.
TEST(Policy, EveryReplyInMemoryIsFollowedByTheEnd) {
  const Acting acting;
  const int64_t end = acting.tokenizer->vocabulary().end(), context = 100;
  int64_t num_longest = 0;
  auto policy = acting.policy(dialogue_schema(), 1, {.context = context, .max_answer = 3});
  for (int64_t turn = 0; turn < 60; ++turn) {
    policy.act(std::vector<int64_t>{0}, std::vector<Observation>{dialogue_line(turn)});
    const auto memory = policy.uncached(0).layout;
    int64_t num_ends = 0;
    for (int64_t slot = 0; slot + 1 < memory.num_tokens(); ++slot) {
      const auto at = [slot](const at::Tensor& tensor, int64_t ahead) { return tensor[0][slot + ahead].item<int64_t>(); };
      const bool is_end = at(memory.ids, 0) == end;
      num_ends += is_end;
      EXPECT_EQ(at(memory.timestep, 1) - at(memory.timestep, 0), is_end ? 1 : 0) << "slot " << slot;
    }
    EXPECT_EQ(num_ends, memory.timestep.max().item<int64_t>());
    if (num_ends == 0) continue;
    const auto places = [&](int64_t id) { return (memory.ids[0] == id).nonzero().flatten(); };
    const int64_t stop = places(end)[-1].item<int64_t>();
    const int64_t start = places(acting.tokenizer->vocabulary().separator())[-2].item<int64_t>() + 3;  // after both of `act`
    EXPECT_LE(stop - start, 3);
    num_longest += stop - start == 3;
  }
  EXPECT_GT(num_longest, 0) << "no answer was too long";
}

// What the policy remembers is, token for token, the document that training would have made of the same timesteps: the
// same number of them, actions among them, and the newest observation last.
TEST(Policy, TheMemoryIsATrainingWindow) {
  const Acting acting;
  for (const std::string name : {"four_rooms", "point_maze"}) {
    const auto world = acting.worlds.build(name);
    const auto schema = std::make_shared<const Schema>(world->schema());
    constexpr int64_t kMaxSteps = 6;
    auto policy = acting.policy(*schema, 1, {.context = 512, .max_steps = kMaxSteps});
    policy.reset(0, 3);
    auto observation = world->reset(3);
    std::vector<Observation> seen;
    std::vector<Action> done;
    int64_t longest = 0;
    for (int64_t turn = 0; turn < 30; ++turn) {
      const std::vector<int64_t> session{0};
      const auto actions = policy.act(session, std::vector<Observation>{observation});
      seen.push_back(observation);
      done.push_back(actions[0]);
      const auto memory = policy.uncached(0).layout;
      const int64_t steps = memory.timestep.max().item<int64_t>() + 1, tokens = memory.num_tokens();
      longest = std::max(longest, steps);
      Episode window{.num_steps = steps};
      for (const auto& field : schema->fields) {
        FieldValues values;
        std::vector<at::Tensor> tensors;
        for (size_t e = seen.size() - static_cast<size_t>(steps); e < seen.size(); ++e) {
          const auto& value = field.is_target() ? done[e].at(field.name) : seen[e].at(field.name);
          if (const auto* text = std::get_if<std::string>(&value)) values.text.push_back(*text);
          else tensors.push_back(std::get<at::Tensor>(value));
        }
        if (!tensors.empty()) values.values = at::stack(tensors);
        window.fields.push_back(values);
      }
      Sample sample{schema, acting.tokenizer->tokenize(*schema, window)};
      sample.timesteps.ends = false;
      const std::vector<std::vector<Sample>> rows{{sample}};
      const auto training = acting.sequencer->lay_out(rows, 512, 1).layout;
      for (const auto field : {&TokenLayout::ids, &TokenLayout::position, &TokenLayout::timestep, &TokenLayout::local})
        ASSERT_TRUE((memory.*field)[0].narrow(0, 0, tokens).equal((training.*field)[0].narrow(0, 0, tokens)))
            << name << " turn " << turn;
      ASSERT_TRUE(memory.patch_row.equal(training.patch_row));
      ASSERT_TRUE(memory.patch_column.equal(training.patch_column));
      auto result = world->step(actions[0]);
      observation = result.done ? world->reset(static_cast<uint64_t>(100 + turn)) : std::move(result.observation);
    }
    EXPECT_EQ(longest, kMaxSteps);
  }
}

}  // namespace
}  // namespace mugato::act
