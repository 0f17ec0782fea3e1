#include "mugato/act/policy.h"

#include <gtest/gtest.h>

#include "acting.h"
#include "message_of.h"
#include "mugato/core/error.h"

namespace mugato::act {
namespace {

using testing::message_of;

TEST(Policy, OnlyLegalIdsAreDrawn) {
  for (const auto range : {DiscreteRange::kSeparate, DiscreteRange::kPaper})
    for (const double temperature : {0.0, 1.0, 50.0}) {
      const Acting acting(range);
      const Schema schema{
          {{.name = "eye", .modality = Modality::kContinuous, .shape = {2}, .mu_law = true},
           {.name = "hand", .modality = Modality::kDiscrete, .role = Role::kAction, .shape = {2}, .num_values = {3}},
           {.name = "foot",
            .modality = Modality::kContinuous,
            .role = Role::kAction,
            .shape = {3},
            .low = {-2.0},
            .high = {5.0}}}};
      auto policy = acting.policy(schema, 4, {.context = 100, .temperature = temperature});
      std::set<int64_t> hands;
      for (int64_t turn = 0; turn < 40; ++turn) {
        const std::vector<int64_t> sessions{0, 1, 2, 3};
        for (const int64_t s : sessions) policy.reset(s, static_cast<uint64_t>(4 * turn + s));
        std::vector<Observation> observations;
        for (const int64_t s : sessions) observations.push_back({{"eye", at::rand({2}) * (10.0 * static_cast<double>(s) + 1)}});
        for (auto& action : policy.act(sessions, observations)) {
          const auto hand = std::get<at::Tensor>(action.at("hand")), foot = std::get<at::Tensor>(action.at("foot"));
          ASSERT_EQ(hand.sizes(), at::IntArrayRef({2}));
          ASSERT_EQ(foot.sizes(), at::IntArrayRef({3}));
          ASSERT_TRUE(((hand >= 0) & (hand < 3)).all().item<bool>()) << hand;
          ASSERT_TRUE(((foot >= -2) & (foot <= 5)).all().item<bool>()) << foot;
          hands.insert(hand[0].item<int64_t>());
        }
      }
      if (temperature > 0.0) {
        EXPECT_EQ(hands.size(), 3U) << "not every legal id is drawn";
      }
    }
}

TEST(Policy, DrawsFollowTheSoftmaxOfTheLegalLogits) {
  const Acting acting;
  const Schema schema{{{.name = "eye", .modality = Modality::kContinuous, .shape = {1}},
                       {.name = "hand", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {4}}}};
  at::manual_seed(3);
  {
    const at::NoGradGuard no_grad;
    acting.agent->named_parameters()["head"].normal_(0.0, 0.2);
  }
  for (const double temperature : {1.0, 0.5}) {
    constexpr int64_t kSessions = 50, kRounds = 80;
    auto policy = acting.policy(schema, kSessions, {.context = 32, .temperature = temperature});
    std::vector<int64_t> sessions(kSessions);
    std::iota(sessions.begin(), sessions.end(), 0);
    const std::vector<Observation> observations(kSessions, {{"eye", at::full({1}, 0.3F)}});
    std::vector<double> drawn(4, 0.0);
    for (int64_t round = 0; round < kRounds; ++round) {
      for (const int64_t s : sessions) policy.reset(s, static_cast<uint64_t>(round * kSessions + s));
      for (const auto& action : policy.act(sessions, observations))
        ++drawn[static_cast<size_t>(std::get<at::Tensor>(action.at("hand")).item<int64_t>())];
    }
    const auto discrete = acting.tokenizer->vocabulary().discrete();
    const auto logits = at::mv(acting.agent->head().detach().narrow(0, discrete.begin, 4), policy.last_hidden()[0]);
    const auto probability = at::softmax(logits / temperature, 0);
    EXPECT_LT(probability.max().item<double>(), 0.98) << "the test needs something to draw";
    for (int64_t i = 0; i < 4; ++i) {
      const double p = probability[i].item<double>(), count = kSessions * kRounds;
      EXPECT_NEAR(drawn[static_cast<size_t>(i)], p * count, 5 * std::sqrt(p * (1 - p) * count) + 1) << "id " << i;
    }
  }
}

TEST(Policy, AnswersEndWithTheEndIdOrAtTheirLongest) {
  const Acting acting;
  const auto world = acting.worlds.build("shapes_qa");
  const std::vector<int64_t> sessions{0, 1};
  const auto answers_of = [&](Policy& policy) {
    std::vector<std::string> answers;
    const auto actions = policy.act(sessions, std::vector<Observation>(2, world->reset(1)));
    for (const auto& action : actions) answers.push_back(std::get<std::string>(action.at("answer")));
    return answers;
  };
  auto policy = acting.policy(world->schema(), 2, {.context = 64, .max_answer = 5});
  for (const auto& answer : answers_of(policy)) EXPECT_LE(acting.tokenizer->text().encode(answer).size(), 10U);

  // A head that wants the end says nothing; one that wants a piece says it as often as it may.
  const auto hidden = policy.last_hidden()[0].clone();
  const at::NoGradGuard no_grad;
  auto head = acting.agent->named_parameters()["head"];
  head.zero_();
  head[acting.tokenizer->vocabulary().end()] = hidden;
  auto greedy = acting.policy(world->schema(), 2, {.context = 64, .temperature = 0.0, .max_answer = 5});
  EXPECT_EQ(answers_of(greedy), (std::vector<std::string>{"", ""}));
}

TEST(Policy, EqualSeedsGiveEqualActionsWhateverElseActs) {
  const Acting acting;
  const auto world = acting.worlds.build("four_rooms");
  const auto first = world->reset(1), second = world->reset(2);
  auto alone = acting.policy(world->schema(), 1, {.context = 200}), many = acting.policy(world->schema(), 4, {.context = 200});
  alone.reset(0, 42);
  for (int64_t s = 0; s < 4; ++s) many.reset(s, s == 2 ? 42 : static_cast<uint64_t>(s));
  int64_t same = 0;
  for (int64_t turn = 0; turn < 20; ++turn) {
    const auto& mine = turn % 2 == 0 ? first : second;
    const auto a = alone.act(std::vector<int64_t>{0}, std::vector<Observation>{mine});
    const auto b = many.act(std::vector<int64_t>{3, 2, 0}, std::vector<Observation>{first, mine, second});
    same += std::get<at::Tensor>(a[0].at("action")).equal(std::get<at::Tensor>(b[1].at("action")));
  }
  EXPECT_GE(same, 19);  // a draw may lie on the edge between two ids by rounding
}

TEST(Policy, WrongObservationsAreErrorsThatNameTheFieldAndChangeNothing) {
  const Acting acting;
  const auto world = acting.worlds.build("four_rooms");
  const auto good = world->reset(1);
  auto policy = acting.policy(world->schema(), 2, {.context = 200}),
       untouched = acting.policy(world->schema(), 2, {.context = 200});
  const std::vector<int64_t> sessions{0, 1};
  const auto change = [&](const std::string& field, std::optional<Value> value) {
    auto bad = good;
    bad.erase(field);
    if (value) bad[field] = *value;
    return message_of([&] { policy.act(sessions, std::vector<Observation>{good, bad}); });
  };
  EXPECT_NE(change("image", {}).find("no field 'image'"), std::string::npos);
  EXPECT_NE(change("image", "a word").find("'image' of the observation is not image"), std::string::npos);
  EXPECT_NE(change("image", at::Tensor()).find("'image'"), std::string::npos);
  EXPECT_NE(
      change("image", at::zeros({32, 64, 3}, at::kByte)).find("'image' of the observation is an image of shape [32, 64, 3]"),
      std::string::npos);
  EXPECT_NE(change("mission", at::zeros({1})).find("'mission'"), std::string::npos);
  EXPECT_NE(change("direction", at::scalar_tensor(9, at::kLong)).find("'direction'"), std::string::npos);
  EXPECT_NE(change("direction", at::zeros({2}, at::kLong)).find("'direction'"), std::string::npos);
  // Session 0 had a good observation each time, and has not kept it.
  policy.act(sessions, std::vector<Observation>(2, good));
  untouched.act(sessions, std::vector<Observation>(2, good));
  EXPECT_TRUE(policy.uncached(0).layout.ids.equal(untouched.uncached(0).layout.ids));
  EXPECT_TRUE(policy.last_hidden().equal(untouched.last_hidden()));
}

TEST(Policy, ATimestepThatDoesNotFitIsAnError) {
  const Acting acting;
  const auto world = acting.worlds.build("four_rooms");
  auto policy = acting.policy(world->schema(), 1, {.context = 16});
  const auto message = message_of([&] { policy.act(std::vector<int64_t>{0}, std::vector<Observation>{world->reset(1)}); });
  EXPECT_NE(message.find("does not fit into a context of 16"), std::string::npos) << message;
}

}  // namespace
}  // namespace mugato::act
