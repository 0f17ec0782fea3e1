// A tiny agent and made-up data: everything a Trainer needs, built anew as a new process would.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <map>

#include "../temporary_folder.h"
#include "mugato/core/random.h"
#include "mugato/nn/objective.h"
#include "mugato/train/trainer.h"

namespace mugato::testing {

// Rows of random documents of two domains; some of the first half have patches. Step n is a function of the seed and n; a
// process may have a part of its rows.
class MadeUpStream : public BatchStream {
 public:
  static constexpr int64_t kVocabulary = 50, kContext = 24;

  MadeUpStream(uint64_t seed, int64_t rows, int64_t micro_rows, int64_t rank = 0, int64_t size = 1)
      : seed_(seed), rows_(rows), micro_rows_(micro_rows), begin_(rows * rank / size), end_(rows * (rank + 1) / size) {}

  GlobalStep next() override {
    GlobalStep step;
    step.counts.resize(names_.size());
    for (int64_t first = begin_; first < end_; first += micro_rows_) {
      LayoutBuilder builder(std::min(micro_rows_, end_ - first), kContext, 2);
      for (int64_t row = first; row < std::min(first + micro_rows_, end_); ++row) write_row(row, builder, step.counts);
      step.micro_batches.push_back(builder.finish());
      for (size_t d = 0; d < names_.size(); ++d) step.counts[d].targets += step.micro_batches.back().target_counts[d];
    }
    for (size_t d = 0; d < names_.size(); ++d) step.counts[d].clipped = clipped_per_step[d];
    ++position_;
    return step;
  }
  std::string state() const override { return std::to_string(position_); }
  void set_state(const std::string& state) override { position_ = std::stoll(state); }
  const std::vector<std::string>& domain_names() const override { return names_; }

  std::vector<int64_t> clipped_per_step{0, 0};

 private:
  void write_row(int64_t row, LayoutBuilder& builder, std::vector<DomainCounts>& counts) const {
    Random random(hash_key(seed_, position_, row));
    builder.begin_row();
    for (int64_t document = 0; document < 2; ++document) {
      const int64_t domain = random.below(2), length = random.between(4, kContext / 2);
      builder.begin_document(domain);
      builder.begin_timestep(0);
      for (int64_t t = 0; t < length; ++t) {
        if (position_ % 3 == 0 && row < rows_ / 2 && t == 0) {  // most steps leave the patch embedder without a gradient
          std::vector<uint8_t> patch(kPatchBytes);
          for (auto& byte : patch) byte = static_cast<uint8_t>(random.below(256));
          const std::array row_bucket{random.below(128)}, column_bucket{random.below(128)};
          builder.add_image(patch.data(), row_bucket, column_bucket);
        } else {
          builder.add_id(random.below(kVocabulary), {.target = random.chance(0.5), .action = random.chance(0.3)});
        }
      }
      ++counts[static_cast<size_t>(domain)].samples;
      counts[static_cast<size_t>(domain)].tokens += length;
    }
  }

  uint64_t seed_;
  int64_t rows_, micro_rows_, begin_, end_, position_ = 0;
  std::vector<std::string> names_{"left", "right"};
};

// Metrics by step and name, and how often each was written.
struct Recorder : MetricSink {
  void write(int64_t step, const std::string& name, double value) override {
    values[{step, name}] = value;
    ++num_writes[{step, name}];
  }
  void flush() override { ++num_flushes; }
  double at(int64_t step, const std::string& name) const { return values.at({step, name}); }

  std::map<std::pair<int64_t, std::string>, double> values;
  std::map<std::pair<int64_t, std::string>, int64_t> num_writes;
  int64_t num_flushes = 0;
};

struct Recipe {
  TrainOptions train{.steps = 8, .rows = 4, .evaluate_every = 0, .save_every = 0};
  OptimizerOptions optim{.learning_rate = 1e-2, .warmup = 3};
  double dropout = 0.1;
  uint64_t seed = 11;
  std::vector<double> weights{1.0, 0.5};
  at::ScalarType type = at::kFloat;
};

inline std::shared_ptr<Agent> tiny_agent(double dropout, int64_t width = 32, at::ScalarType type = at::kFloat) {
  at::manual_seed(5);
  SequenceModelRegistry registry("sequence model");
  register_builtins(registry);
  AgentOptions options;
  options.sequence = {.width = width,
                      .blocks = 2,
                      .heads = 2,
                      .ffn_width = 48,
                      .dropout = dropout,
                      .stochastic_depth = dropout,
                      .context = MadeUpStream::kContext};
  options.embedder.vocabulary = MadeUpStream::kVocabulary;
  options.embedder.patch_channels = 32;
  options.embedder.patch_stride = 8;
  const auto agent = make_agent(options, registry);
  agent->to(type);
  return agent;
}

// The objects of one process.
struct Process {
  Process(const Recipe& recipe, const std::filesystem::path& run, bool resume, dist::Group* group = nullptr)
      : agent(tiny_agent(recipe.dropout, 32, recipe.type)),
        objective(agent),
        optimizer(*agent, recipe.optim),
        stream(recipe.seed, recipe.train.rows, recipe.train.micro_rows > 0 ? recipe.train.micro_rows : recipe.train.rows,
               group ? group->rank() : 0, group ? group->size() : 1),
        store(run, recipe.train.keep, {{"note.txt", "a companion"}}),
        parts{.objective = objective,
              .optimizer = optimizer,
              .stream = stream,
              .checkpoints = store,
              .metrics = metrics,
              .domain_weights = recipe.weights,
              .group = group},
        recipe_(recipe) {
    if (!resume) return;
    state = CheckpointStore::load(store.newest().value(), *agent, &optimizer);
    stream.set_state(state.data);
  }

  // Trains, with what `parts` holds by now.
  void run() {
    const StopSignal stop;
    Trainer trainer(recipe_.train, recipe_.optim, recipe_.seed, at::kCPU, parts);
    trainer.state() = state;
    trainer.run(stop);
    state = trainer.state();
  }

  std::shared_ptr<Agent> agent;
  NextTokenObjective objective;
  AdamW optimizer;
  MadeUpStream stream;
  CheckpointStore store;
  Recorder metrics;
  TrainState state;
  Trainer::Parts parts;

 private:
  Recipe recipe_;
};

// Weights and optimizer, copied.
inline std::map<std::string, at::Tensor> snapshot(Process& process) {
  std::map<std::string, at::Tensor> all;
  for (const auto& item : process.agent->named_parameters()) all[item.key()] = item.value().detach().clone();
  for (const auto& [name, tensor] : process.optimizer.state()) all["optimizer " + name] = tensor.clone();
  return all;
}

inline void expect_same(const std::map<std::string, at::Tensor>& a, const std::map<std::string, at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(tensor.equal(b.at(name))) << name << " differs";
}

}  // namespace mugato::testing
