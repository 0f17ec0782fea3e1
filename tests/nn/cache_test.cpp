// Cached passes against uncached ones.
// Shape legend: B rows, S slots, D width.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nn/closeness.h"
#include "nn/random_batches.h"

namespace mugato {
namespace {

using testing::expect_close;
using testing::Features;
using ::testing::HasSubstr;
using testing::layout_of;
using testing::make_small_agent;
using ::testing::ThrowsMessage;

class Cached : public ::testing::TestWithParam<Features> {
 protected:
  SequenceModel& trunk() { return agent_->trunk(); }
  const std::shared_ptr<Agent> agent_ = make_small_agent(GetParam().options, GetParam().type);
  const at::NoGradGuard no_grad_;
};
INSTANTIATE_TEST_SUITE_P(All, Cached, ::testing::ValuesIn(testing::all_features()), testing::name_of_features);
INSTANTIATE_TEST_SUITE_P(Kernel, Cached, ::testing::ValuesIn(testing::float_features()), testing::name_of_features);

// `fresh[row]` new tokens for each row, which holds `held[row]`; a row without new tokens has no document.
TokenLayout continuation(const std::vector<int64_t>& held, const std::vector<int64_t>& fresh, int64_t capacity) {
  LayoutBuilder builder(static_cast<int64_t>(held.size()), capacity, 1);
  for (size_t row = 0; row < held.size(); ++row) {
    builder.begin_row();
    if (fresh[row] == 0) continue;
    builder.begin_document(0, held[row]);
    for (int64_t i = 0; i < fresh[row]; ++i) builder.add_id(0, {});
  }
  return builder.finish().layout;
}

// Sessions grow by ragged numbers of tokens and start anew now and then; whenever they have grown, the hidden states of the
// new tokens are those of one uncached pass over all that the session has read.
TEST_P(Cached, EqualsUncachedWithRaggedTokensAndResets) {
  constexpr int64_t kRows = 3, kCapacity = 24, kMost = 6;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    Random random(seed);
    const auto cache = trunk().make_cache(kRows, kCapacity);
    std::vector<at::Tensor> read(kRows, at::zeros({0, trunk().width()}, GetParam().type));
    int64_t resets = 0;
    for (int64_t call = 0; call < 20; ++call) {
      SCOPED_TRACE(call);
      std::vector<int64_t> held, fresh;
      const int64_t slots = random.between(1, kMost);
      auto x = at::randn({kRows, slots, trunk().width()}, GetParam().type);
      for (int64_t row = 0; row < kRows; ++row) {
        auto& session = read[static_cast<size_t>(row)];
        int64_t count = random.chance(0.2) ? 0 : random.between(1, slots);
        if (session.size(0) + count > kCapacity) {
          cache->reset(row);
          session = session.narrow(0, 0, 0);
          ++resets;
        }
        ASSERT_EQ(cache->length(row), session.size(0));
        held.push_back(session.size(0));
        fresh.push_back(count);
        session = at::cat({session, x[row].narrow(0, 0, count)});
      }
      const auto hidden = trunk().forward({.x = x, .layout = continuation(held, fresh, slots)}, cache.get());
      for (int64_t row = 0; row < kRows; ++row) {
        const auto& session = read[static_cast<size_t>(row)];
        const int64_t count = fresh[static_cast<size_t>(row)];
        if (count == 0) continue;
        const auto whole =
            trunk().forward({.x = session.unsqueeze(0), .layout = layout_of({{session.size(0)}}, session.size(0))}, nullptr);
        expect_close(hidden[row].narrow(0, 0, count), whole[0].narrow(0, session.size(0) - count, count), "hidden");
      }
    }
    EXPECT_GT(resets, 0);
  }
}

// Through the whole agent: the tokens of a document one by one, local positions and all.
TEST_P(Cached, ATokenAtATimeEqualsTheWholeDocument) {
  Random random(9);
  LayoutBuilder whole(1, 12, 1);
  whole.begin_row();
  whole.begin_document();
  const auto cache = trunk().make_cache(1, 12);
  std::vector<at::Tensor> hidden;
  for (int64_t i = 0; i < 12; ++i) {
    const int64_t id = random.below(GetParam().options.embedder.vocabulary);
    const LayoutBuilder::Use use{.action = i % 6 == 5};
    if (i % 6 == 0) whole.begin_timestep(i / 6);
    whole.add_id(id, use);
    LayoutBuilder step(1, 1, 1);
    step.begin_row();
    step.begin_document(0, i);
    step.begin_timestep(i / 6, i % 6);
    step.add_id(id, use);
    hidden.push_back(agent_->forward(step.finish(), cache.get())[0]);
  }
  expect_close(at::cat(hidden), agent_->forward(whole.finish())[0], "hidden");
}

TEST_P(Cached, RefusesWhatWouldGiveWrongKeysWithoutAWord) {
  const auto cache = trunk().make_cache(2, 4);
  const auto run = [&](const TokenLayout& layout) {
    trunk().forward({.x = at::zeros({2, layout.capacity, trunk().width()}, GetParam().type), .layout = layout}, cache.get());
  };
  run(continuation({0, 0}, {3, 1}, 3));
  EXPECT_THAT([&] { run(continuation({3, 1}, {2, 1}, 2)); }, ThrowsMessage<c10::Error>(HasSubstr("the cache holds 4")));
  EXPECT_EQ(cache->length(0), 3) << "a refused pass changes nothing";
  EXPECT_THAT([&] { run(layout_of({{}, {1, 1}}, 2)); }, ThrowsMessage<c10::Error>(HasSubstr("one document")));
  const at::AutoGradMode with_gradients(true);
  EXPECT_THAT([&] { run(continuation({3, 1}, {1, 1}, 1)); }, ThrowsMessage<c10::Error>(HasSubstr("no gradients")));
}

}  // namespace
}  // namespace mugato
