#include "mugato/act/policy.h"

#include <functional>

#include "mugato/core/error.h"

namespace mugato::act {

struct Policy::Session {
  struct Step {
    Timesteps read;                             // the observation, one timestep; target fields are empty
    std::vector<std::vector<int64_t>> written;  // ids per target field, in the order of the timestep
    int64_t observed_tokens = 0;                // separator included
  };
  // A token that was written but not read by the model yet.
  struct Pending {
    int64_t id = 0, timestep = 0, local = 0;
    bool action = true;
  };

  std::vector<Step> memory;  // the last one is the present timestep
  int64_t cached = 0;        // tokens that the cache holds
  std::optional<Pending> pending;
  Random random{0};
};

namespace {

// Index of the legal id drawn with probability softmax(logits / temperature).
int64_t draw(const float* logits, int64_t size, double temperature, Random& random) {
  const float* best = std::max_element(logits, logits + size);
  if (temperature <= 0.0) return best - logits;
  std::vector<double> weights;
  double total = 0.0;
  for (int64_t i = 0; i < size; ++i) total += weights.emplace_back(std::exp((logits[i] - *best) / temperature));
  double left = random.uniform() * total;
  for (int64_t i = 0; i < size; ++i)
    if ((left -= weights[static_cast<size_t>(i)]) < 0.0) return i;
  return best - logits;
}

LayoutBuilder::Use use_of(const FieldSpec& field) { return {.target = false, .action = field.role == Role::kAction}; }

}  // namespace

Policy::Policy(std::shared_ptr<Agent> agent, std::shared_ptr<const Tokenizer> tokenizer,
               std::shared_ptr<const Sequencer> sequencer, Schema schema, int64_t sessions, PolicyOptions options)
    : agent_(std::move(agent)),
      tokenizer_(std::move(tokenizer)),
      sequencer_(std::move(sequencer)),
      schema_(std::move(schema)),
      order_(step_order(schema_)),
      options_(options),
      sessions_(static_cast<size_t>(sessions)),
      cache_(agent_->trunk().make_cache(sessions, options.context)) {
  validate(schema_, tokenizer_->vocabulary());
  agent_->eval();
}

Policy::~Policy() = default;

void Policy::reset(int64_t session, uint64_t seed) {
  sessions_[static_cast<size_t>(session)] = Session{};
  sessions_[static_cast<size_t>(session)].random = Random(seed);
  cache_->reset(session);
}

Timesteps Policy::read(const Observation& observation) const {
  Timesteps timesteps;
  timesteps.num_steps = 1;
  for (const auto& field : schema_.fields) {
    timesteps.fields.emplace_back();
    if (field.is_target()) continue;
    const auto found = observation.find(field.name);
    if (found == observation.end())
      throw Error("the observation has no field '" + field.name + "'", "send every field of the schema");
    FieldValues values;
    if (const auto* text = std::get_if<std::string>(&found->second)) values.text = {*text};
    else values.values = std::get<at::Tensor>(found->second).unsqueeze(0);
    if (values.text.empty() != (field.modality != Modality::kText))
      throw Error("field '" + field.name + "' of the observation is not " + name_of(field.modality),
                  "send it as the schema says");
    timesteps.fields.back() = tokenizer_->tokenize(field, values);
  }
  return timesteps;
}

int64_t Policy::tokens_of(const Session& session, size_t step) const {
  int64_t tokens = session.memory[step].observed_tokens;
  for (const auto& ids : session.memory[step].written) tokens += static_cast<int64_t>(ids.size());
  return tokens;
}

// Forgets the oldest timesteps when the next one, of `fresh_tokens` at most, would not fit.
void Policy::make_room(Session& session, int64_t row, int64_t fresh_tokens) {
  const auto num_steps = static_cast<int64_t>(session.memory.size());
  int64_t held = 0;
  for (size_t i = 0; i < session.memory.size(); ++i) held += tokens_of(session, i);
  const bool too_long = held + fresh_tokens > options_.context;
  const bool too_many = options_.max_steps > 0 && num_steps + 1 > options_.max_steps;
  if (!too_long && !too_many) return;
  const int64_t budget = std::min(options_.context / 2, options_.context - fresh_tokens);
  const int64_t most = options_.max_steps > 0 ? options_.max_steps / 2 : num_steps;
  int64_t keep = 0, tokens = 0;
  while (keep < std::min(most, num_steps)) {
    tokens += tokens_of(session, static_cast<size_t>(num_steps - 1 - keep));
    if (tokens > budget) break;
    ++keep;
  }
  session.memory.erase(session.memory.begin(), session.memory.end() - keep);
  session.cached = 0;
  session.pending.reset();
  cache_->reset(row);
}

// Timesteps from first_step on, of the last one only the observation.
void Policy::write_memory(const Session& session, size_t first_step, LayoutBuilder& builder) const {
  for (size_t i = first_step; i < session.memory.size(); ++i) {
    const auto& step = session.memory[i];
    builder.begin_timestep(static_cast<int64_t>(i));
    sequencer_->write_observations(schema_, step.read, 0, builder, nullptr);
    if (i + 1 == session.memory.size()) return;
    for (size_t t = 0; t < order_.targets.size(); ++t)
      for (const int64_t id : step.written[t]) builder.add_id(id, use_of(schema_.fields[order_.targets[t]]));
  }
}

MicroBatch Policy::uncached(int64_t session) const {
  LayoutBuilder builder(1, options_.context, 1);
  builder.begin_row();
  builder.begin_document();
  write_memory(sessions_[static_cast<size_t>(session)], 0, builder);
  return builder.finish();
}

// One cached pass over the new tokens of the sessions named; returns the hidden state of each one's last token, (n,D).
at::Tensor Policy::forward(std::span<const int64_t> sessions, const std::function<void(size_t, LayoutBuilder&)>& write,
                           int64_t capacity) {
  LayoutBuilder builder(static_cast<int64_t>(sessions_.size()), capacity, 1);
  std::vector<int64_t> last(sessions.size());
  for (int64_t row = 0; row < static_cast<int64_t>(sessions_.size()); ++row) {
    builder.begin_row();
    const auto found = std::find(sessions.begin(), sessions.end(), row);
    if (found == sessions.end()) continue;
    auto& session = sessions_[static_cast<size_t>(row)];
    builder.begin_document(0, session.cached);
    if (session.pending) {
      builder.begin_timestep(session.pending->timestep, session.pending->local);
      builder.add_id(session.pending->id, {.target = false, .action = session.pending->action});
      session.pending.reset();
    }
    write(static_cast<size_t>(row), builder);
    const int64_t length = capacity - builder.room();
    session.cached += length;
    last[static_cast<size_t>(found - sessions.begin())] = row * capacity + length - 1;
  }
  const at::NoGradGuard no_grad;
  const auto device = agent_->head().device();
  const auto hidden = agent_->forward(builder.finish().to(device), cache_.get());
  return hidden.flatten(0, 1).index_select(0, at::tensor(last, at::kLong).to(device));
}

std::vector<int64_t> Policy::sample(const at::Tensor& hidden, std::span<const int64_t> sessions,
                                    const std::vector<IdRange>& legal) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> slices;  // logits of legal ids only
  for (const auto& range : legal)
    slices.push_back(at::mm(hidden, agent_->head().narrow(0, range.begin, range.size).to(hidden.scalar_type()).t()));
  const auto logits = at::cat(slices, 1).to(at::kFloat).cpu().contiguous();
  std::vector<int64_t> ids;
  for (size_t i = 0; i < sessions.size(); ++i) {
    auto& random = sessions_[static_cast<size_t>(sessions[i])].random;
    int64_t picked = draw(logits.const_data_ptr<float>() + static_cast<int64_t>(i) * logits.size(1), logits.size(1),
                          options_.temperature, random);
    size_t range = 0;
    while (picked >= legal[range].size) picked -= legal[range++].size;
    ids.push_back(legal[range].begin + picked);
  }
  return ids;
}

void Policy::write_field(size_t field, std::span<const int64_t> sessions, at::Tensor& hidden) {
  const auto& spec = schema_.fields[order_.targets[field]];
  for (int64_t j = 0; j < spec.values_per_step(); ++j) {
    if (sessions_[static_cast<size_t>(sessions[0])].pending)
      hidden = forward(
          sessions, [](size_t, LayoutBuilder&) {}, 1);
    const auto ids = sample(hidden, sessions, {tokenizer_->legal_ids(spec, j)});
    for (size_t i = 0; i < sessions.size(); ++i) {
      auto& session = sessions_[static_cast<size_t>(sessions[i])];
      session.memory.back().written[field].push_back(ids[i]);
      session.pending = {ids[i], static_cast<int64_t>(session.memory.size()) - 1, 0, true};
    }
  }
}

// Token by token until each session has written the end id, or as many tokens as an answer may have.
void Policy::write_text(size_t field, std::span<const int64_t> sessions, at::Tensor& hidden) {
  const auto& vocabulary = tokenizer_->vocabulary();
  std::vector<int64_t> writing(sessions.begin(), sessions.end());
  for (int64_t j = 0; j < options_.max_answer && !writing.empty(); ++j) {
    if (sessions_[static_cast<size_t>(writing[0])].pending)
      hidden = forward(
          writing, [](size_t, LayoutBuilder&) {}, 1);
    const auto ids = sample(hidden, writing, {vocabulary.text(), {vocabulary.end(), 1}});
    std::vector<int64_t> still;
    for (size_t i = 0; i < writing.size(); ++i) {
      if (ids[i] == vocabulary.end()) continue;
      auto& session = sessions_[static_cast<size_t>(writing[i])];
      auto& step = session.memory.back();
      session.pending = {ids[i], static_cast<int64_t>(session.memory.size()) - 1,
                         step.observed_tokens + static_cast<int64_t>(step.written[field].size()), false};
      step.written[field].push_back(ids[i]);
      still.push_back(writing[i]);
    }
    writing = std::move(still);
  }
}

std::vector<Action> Policy::act(std::span<const int64_t> sessions, std::span<const Observation> observations) {
  TORCH_CHECK(!sessions.empty() && sessions.size() == observations.size(), "one observation per session");
  int64_t most_written = 0, capacity = 1;
  for (const size_t t : order_.targets)
    most_written += schema_.fields[t].modality == Modality::kText ? options_.max_answer : schema_.fields[t].values_per_step();
  for (size_t i = 0; i < sessions.size(); ++i) {
    auto& session = sessions_[static_cast<size_t>(sessions[i])];
    Session::Step step{.read = read(observations[i]), .written = std::vector<std::vector<int64_t>>(order_.targets.size())};
    step.observed_tokens = 1;
    for (const size_t f : order_.observations) step.observed_tokens += step.read.fields[f].valid.sum().item<int64_t>();
    if (step.observed_tokens + most_written > options_.context)
      throw Error("an observation of " + std::to_string(step.observed_tokens) + " tokens does not fit into a context of " +
                      std::to_string(options_.context),
                  "the run's train.context has to hold one timestep");
    make_room(session, sessions[i], step.observed_tokens + most_written);
    session.memory.push_back(std::move(step));
    int64_t fresh = session.pending ? 1 : 0;
    for (size_t k = session.cached > 0 ? session.memory.size() - 1 : 0; k < session.memory.size(); ++k)
      fresh += tokens_of(session, k);
    capacity = std::max(capacity, fresh);
  }
  auto hidden = forward(
      sessions,
      [&](size_t row, LayoutBuilder& builder) {
        const auto& session = sessions_[row];
        write_memory(session, session.cached > 0 ? session.memory.size() - 1 : 0, builder);
      },
      capacity);
  last_hidden_ = hidden;
  std::vector<Action> actions(sessions.size());
  for (size_t t = 0; t < order_.targets.size(); ++t) {
    const auto& spec = schema_.fields[order_.targets[t]];
    if (spec.modality == Modality::kText) write_text(t, sessions, hidden);
    else write_field(t, sessions, hidden);
    for (size_t i = 0; i < sessions.size(); ++i)
      actions[i][spec.name] = tokenizer_->decode(spec, sessions_[static_cast<size_t>(sessions[i])].memory.back().written[t]);
  }
  return actions;
}

}  // namespace mugato::act
