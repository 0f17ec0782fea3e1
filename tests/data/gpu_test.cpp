// Batches for a GPU. Fails where there is none (ctest label gpu).
#include <gtest/gtest.h>

#include "fake_sources.h"
#include "mugato/data/loader.h"
#include "same_step.h"

namespace mugato::data {
namespace {

TEST(GpuLoader, PinsTheSameStepsAndTheyArriveWhole) {
  const auto make = [](bool pin) {
    return std::make_unique<Loader>(std::vector<DataEntry>{{.source = "clock"}},
                                    std::vector<std::shared_ptr<const Source>>{std::make_shared<ClockSource>(100, 20)},
                                    test_tokenizer(), std::make_shared<Sequencer>(test_vocabulary(), SequencerOptions{}),
                                    LoaderOptions{.rows = 6, .micro_rows = 3, .context = 48, .workers = 2, .pin = pin});
  };
  const auto plain = make(false), pinned = make(true);
  for (int64_t n = 0; n < 20; ++n) {
    const auto expected = plain->next(), found = pinned->next();
    ASSERT_TRUE(same_step(expected, found));
    for (size_t m = 0; m < found.micro_batches.size(); ++m) {
      const auto& batch = found.micro_batches[m];
      EXPECT_TRUE(batch.layout.ids.is_pinned() && batch.layout.targets.is_pinned());
      EXPECT_FALSE(expected.micro_batches[m].layout.ids.is_pinned());
      EXPECT_TRUE(batch.to(at::kCUDA).layout.ids.cpu().equal(expected.micro_batches[m].layout.ids));
    }
  }
}

}  // namespace
}  // namespace mugato::data
