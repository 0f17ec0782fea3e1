#include "mugato/env/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "mugato/core/error.h"

namespace mugato::env {
namespace {

// Counts to a number drawn from the seed; the expert says how far it is. One field of every modality and role that a world
// can have.
class Counter final : public Environment {
 public:
  const Schema& schema() const override { return schema_; }
  Observation reset(uint64_t seed) override {
    length_ = Random(seed).between(1, 9);
    at_ = 0;
    return observe();
  }
  StepResult step(const Action& action) override {
    ++at_;
    const bool right = std::get<at::Tensor>(action.at("left")).item<int64_t>() == length_ - at_;
    return {.observation = observe(), .reward = right ? 1.0 : 0.0, .done = at_ == length_, .success = right};
  }
  Action expert() override {
    return {{"left", at::full({}, length_ - at_ - 1, at::kLong)},
            {"torque", at::full({3}, static_cast<double>(at_), at::kFloat)},
            {"words", "after " + std::to_string(at_)}};
  }
  int64_t max_steps() const override { return 9; }
  ReferenceScores reference_scores() const override { return {}; }
  at::Tensor picture() const override { return at::zeros({1, 256, 3}, at::kByte); }
  int64_t length() const { return length_; }

 private:
  Observation observe() const {
    return {{"torso", at::full({2}, static_cast<double>(at_), at::kFloat)},
            {"frame", at::full({16, 32, 3}, at_, at::kByte)},
            {"task", "count to " + std::to_string(length_)}};
  }

  Schema schema_{{{.name = "task"},
                  {.name = "frame", .modality = Modality::kImage, .shape = {16, 32, 3}},
                  {.name = "torso", .modality = Modality::kContinuous, .shape = {2}, .mu_law = true},
                  {.name = "left", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {9}},
                  {.name = "torque", .modality = Modality::kContinuous, .role = Role::kAction, .shape = {3}},
                  {.name = "words", .role = Role::kAction}}};
  int64_t length_ = 0, at_ = 0;
};

Schema actions_of_all_kinds() {
  return {
      {{.name = "position", .modality = Modality::kContinuous, .shape = {2}},
       {.name = "move", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {7}},
       {.name = "buttons",
        .modality = Modality::kDiscrete,
        .role = Role::kAction,
        .shape = {4, 2},
        .cells = true,
        .num_values = {3, 5}},
       {.name = "force", .modality = Modality::kContinuous, .role = Role::kAction, .shape = {3}, .low = {-2.0}, .high = {6.0}},
       {.name = "speech", .role = Role::kAction},
       {.name = "answer", .role = Role::kAnswer}}};
}

// Pearson's statistic of draws that ought to be uniform over counts.size() values.
double chi_square(const std::vector<int64_t>& counts) {
  double total = 0, sum = 0;
  for (const int64_t count : counts) total += static_cast<double>(count);
  const double expected = total / static_cast<double>(counts.size());
  for (const int64_t count : counts) sum += std::pow(static_cast<double>(count) - expected, 2) / expected;
  return sum;
}

// Mean plus five standard deviations of that statistic.
double chi_square_limit(size_t num_values) {
  const auto freedom = static_cast<double>(num_values - 1);
  return freedom + 5 * std::sqrt(2 * freedom);
}

TEST(RandomPolicy, DrawsUniformlyAmongTheValidValuesOfEveryField) {
  constexpr int64_t kDraws = 20000;
  RandomPolicy policy(actions_of_all_kinds(), 11);
  std::vector<int64_t> moves(7), forces(8), low_buttons(3), high_buttons(5);
  for (int64_t draw = 0; draw < kDraws; ++draw) {
    const auto action = policy.act();
    ASSERT_EQ(action.size(), 3U);  // neither the observation nor text

    const auto& move = std::get<at::Tensor>(action.at("move"));
    ASSERT_EQ(move.dim(), 0);
    ++moves.at(static_cast<size_t>(move.item<int64_t>()));  // at() throws outside of the range

    const auto& buttons = std::get<at::Tensor>(action.at("buttons"));
    ASSERT_EQ(buttons.sizes(), at::IntArrayRef({4, 2}));
    for (int64_t i = 0; i < 4; ++i) {
      ++low_buttons.at(static_cast<size_t>(buttons.const_data_ptr<int64_t>()[2 * i]));
      ++high_buttons.at(static_cast<size_t>(buttons.const_data_ptr<int64_t>()[2 * i + 1]));
    }

    const auto& force = std::get<at::Tensor>(action.at("force"));
    ASSERT_EQ(force.scalar_type(), at::kFloat);
    ASSERT_EQ(force.sizes(), at::IntArrayRef({3}));
    for (int64_t i = 0; i < 3; ++i) {
      const float value = force.const_data_ptr<float>()[i];
      ASSERT_GE(value, -2.0F);
      ASSERT_LE(value, 6.0F);
      ++forces.at(std::min<size_t>(7, static_cast<size_t>(value + 2.0F)));
    }
  }
  for (const auto& counts : {moves, forces, low_buttons, high_buttons})
    EXPECT_LT(chi_square(counts), chi_square_limit(counts.size()));
}

TEST(RandomPolicy, RepeatsWithItsSeedAndOnlyThen) {
  const auto play = [](uint64_t seed) {
    RandomPolicy policy(actions_of_all_kinds(), seed);
    std::vector<at::Tensor> forces;
    for (int64_t i = 0; i < 50; ++i) forces.push_back(std::get<at::Tensor>(policy.act().at("force")));
    return at::stack(forces);
  };
  EXPECT_TRUE(at::equal(play(3), play(3)));
  // Not even shifted by a draw: seeds count up from one episode to the next.
  const auto first = play(3).flatten(), second = play(4).flatten();
  EXPECT_EQ((first.unsqueeze(0) == second.unsqueeze(1)).sum().item<int64_t>(), 0);
}

TEST(Demonstrate, EveryFieldHasAllTimesteps) {
  Counter counter;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const auto episode = demonstrate(counter, seed);
    const int64_t steps = counter.length();
    ASSERT_EQ(episode.num_steps, steps);
    EXPECT_TRUE(episode.success);
    EXPECT_EQ(episode.total_return, static_cast<double>(steps));
    ASSERT_EQ(episode.fields.size(), counter.schema().fields.size());
    for (size_t i = 0; i < episode.fields.size(); ++i) {
      const auto& spec = counter.schema().fields[i];
      const auto& field = episode.fields[i];
      if (spec.modality == Modality::kText) {
        EXPECT_EQ(static_cast<int64_t>(field.text.size()), steps) << spec.name;
        EXPECT_FALSE(field.values.defined()) << spec.name;
        continue;
      }
      std::vector<int64_t> shape{steps};
      shape.insert(shape.end(), spec.shape.begin(), spec.shape.end());
      EXPECT_EQ(field.values.sizes(), at::IntArrayRef(shape)) << spec.name;
    }
    // Timestep t holds what was seen before action t, and that action.
    EXPECT_TRUE(at::equal(episode.fields[2].values.select(1, 0), at::arange(steps, at::kFloat)));
    EXPECT_TRUE(at::equal(episode.fields[3].values, at::arange(steps - 1, -1, -1, at::kLong)));
    EXPECT_EQ(episode.fields[5].text.back(), "after " + std::to_string(steps - 1));
  }
}

// A counter that does something wrong to one field of one timestep.
class Wrong final : public Environment {
 public:
  explicit Wrong(std::function<void(int64_t, std::map<std::string, Value>&)> spoil) : spoil_(std::move(spoil)) {}
  const Schema& schema() const override { return counter_.schema(); }
  Observation reset(uint64_t seed) override { return spoiled(counter_.reset(seed), at_ = 0); }
  StepResult step(const Action& action) override {
    auto result = counter_.step(action);
    result.observation = spoiled(std::move(result.observation), ++at_);
    return result;
  }
  Action expert() override { return spoiled(counter_.expert(), at_); }
  int64_t max_steps() const override { return counter_.max_steps(); }
  ReferenceScores reference_scores() const override { return {}; }
  at::Tensor picture() const override { return counter_.picture(); }

 private:
  std::map<std::string, Value> spoiled(std::map<std::string, Value> values, int64_t timestep) const {
    spoil_(timestep, values);
    return values;
  }

  Counter counter_;
  std::function<void(int64_t, std::map<std::string, Value>&)> spoil_;
  int64_t at_ = 0;
};

TEST(Demonstrate, AFieldThatIsForgottenOrOfAnotherKindIsAnErrorThatNamesItAndItsSeed) {
  uint64_t seed = 0;
  for (Counter counter; counter.length() < 3; counter.reset(++seed)) continue;
  const auto message_of = [seed](auto spoil) -> std::string {
    Wrong wrong(spoil);
    try {
      demonstrate(wrong, seed);
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  const auto expect = [seed](const std::string& message, int64_t timestep, const std::string& field) {
    const auto where = "seed " + std::to_string(seed) + ", timestep " + std::to_string(timestep) + ": field '" + field + "'";
    EXPECT_THAT(message, ::testing::AllOf(::testing::HasSubstr(where), ::testing::HasSubstr("\nhint: ")));
  };
  using Values = std::map<std::string, Value>;
  expect(message_of([](int64_t, Values& values) { values.erase("torso"); }), 0, "torso");
  expect(message_of([](int64_t timestep, Values& values) {
           if (timestep == 2) values.erase("frame");
         }),
         2, "frame");
  expect(message_of([](int64_t timestep, Values& values) {
           if (timestep == 1) values.erase("left");
         }),
         1, "left");
  const auto replace = [](const std::string& field, const Value& value) {
    return [=](int64_t timestep, Values& values) {
      if (timestep == 1 && values.contains(field)) values[field] = value;
    };
  };
  expect(message_of(replace("task", at::zeros({2}))), 1, "task");
  expect(message_of(replace("torso", "a word")), 1, "torso");
  expect(message_of(replace("torso", at::Tensor())), 1, "torso");
  expect(message_of(replace("torso", at::zeros({3}))), 1, "torso");
}

class EveryWorld : public ::testing::TestWithParam<std::string> {
 protected:
  static std::unique_ptr<Environment> build() {
    EnvironmentRegistry worlds("environment");
    register_builtins(worlds);
    return worlds.build(GetParam());
  }
};
std::vector<std::string> world_names() {
  EnvironmentRegistry worlds("environment");
  register_builtins(worlds);
  return worlds.names();
}
INSTANTIATE_TEST_SUITE_P(Builtin, EveryWorld, ::testing::ValuesIn(world_names()),
                         [](const auto& tested) { return tested.param; });

// Paper 2.1: of the values, observations alone are mu-law encoded.
TEST_P(EveryWorld, ActionsAreNotMuLawEncoded) {
  const auto world = build();
  for (const auto& field : world->schema().fields)
    if (field.role == Role::kAction) {
      EXPECT_FALSE(field.mu_law) << field.name;
    }
}

// Nobody writes into an observation that was handed out before, or an episode would hold its last timestep many times.
TEST_P(EveryWorld, ADemonstrationIsWhatWasSeenAndDoneStepByStep) {
  const auto clone = [](const Value& value) -> Value {
    const auto* tensor = std::get_if<at::Tensor>(&value);
    return tensor ? Value(tensor->clone()) : value;
  };
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const auto episode = demonstrate(*build(), seed);
    const auto world = build();
    std::map<std::string, std::vector<Value>> copies;
    auto observation = world->reset(seed);
    for (bool done = false; !done;) {
      for (const auto& [name, value] : observation) copies[name].push_back(clone(value));
      const auto action = world->expert();
      for (const auto& [name, value] : action) copies[name].push_back(clone(value));
      auto result = world->step(action);
      observation = std::move(result.observation);
      done = result.done;
    }
    for (size_t i = 0; i < episode.fields.size(); ++i) {
      const auto& name = world->schema().fields[i].name;
      const auto& seen = copies.at(name);
      ASSERT_EQ(static_cast<int64_t>(seen.size()), episode.num_steps) << name;
      for (size_t e = 0; e < seen.size(); ++e) {
        const auto* tensor = std::get_if<at::Tensor>(&seen[e]);
        const bool same = tensor ? tensor->equal(episode.fields[i].values[static_cast<int64_t>(e)])
                                 : std::get<std::string>(seen[e]) == episode.fields[i].text[e];
        ASSERT_TRUE(same) << name << " timestep " << e;
      }
    }
  }
}

TEST(Seeds, TrainingAndEvaluationNeverMeet) {
  for (uint64_t i = 0; i < 64; ++i) {
    const uint64_t index = i < 32 ? i : hash_key(i);  // the top bit of an index changes nothing
    EXPECT_EQ(train_seed(index) >> 63, 0U);
    EXPECT_EQ(evaluation_seed(index) >> 63, 1U);
  }
}

}  // namespace
}  // namespace mugato::env
