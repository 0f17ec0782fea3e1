#include "mugato/act/policy.h"

#include "mugato/core/error.h"

namespace mugato::act {
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

// An answer has a token and its end.
int64_t least_tokens(const FieldSpec& field) { return field.modality == Modality::kText ? 2 : field.values_per_step(); }

FieldValues values_of(const FieldSpec& field, const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  const auto* tensor = std::get_if<at::Tensor>(&value);
  if ((text != nullptr) != (field.modality == Modality::kText) || (tensor && !tensor->defined()))
    throw Error("field '" + field.name + "' of the observation is not " + name_of(field.modality),
                "send it as the schema says");
  if (text) return {.text = {*text}};
  if (field.modality == Modality::kImage && !field.shape.empty() && tensor->sizes() != at::IntArrayRef(field.shape))
    throw Error("field '" + field.name + "' of the observation is an image of shape " + c10::str(tensor->sizes()) +
                    ", the schema says " + c10::str(at::IntArrayRef(field.shape)),
                "send it as the schema says");
  return {.values = tensor->unsqueeze(0)};
}

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
  num_start_ = sequencer_->starts_with_separator(schema_) ? 1 : 0;
  for (const size_t f : order_.targets) {
    const auto& spec = schema_.fields[f];
    least_written_ += least_tokens(spec);
    most_written_ += spec.modality == Modality::kText ? options_.max_answer + 1 : least_tokens(spec);
  }
  agent_->eval();
}

Policy::~Policy() = default;

void Policy::reset(int64_t session, uint64_t seed) {
  check_session(session);
  sessions_[static_cast<size_t>(session)] = Session{};
  sessions_[static_cast<size_t>(session)].random = Random(seed);
  cache_->reset(session);
}

void Policy::check_session(int64_t session) const {
  TORCH_CHECK(session >= 0 && session < static_cast<int64_t>(sessions_.size()), "session ", session, " of ", sessions_.size());
}

Policy::Session::Step Policy::read(const Observation& observation) const {
  Timesteps timesteps;
  timesteps.num_steps = 1;
  for (const auto& field : schema_.fields) {
    timesteps.fields.emplace_back();
    if (field.is_target()) continue;
    const auto found = observation.find(field.name);
    if (found == observation.end())
      throw Error("the observation has no field '" + field.name + "'", "send every field of the schema");
    timesteps.fields.back() = tokenizer_->tokenize(field, values_of(field, found->second));
  }
  Session::Step step{.read = std::move(timesteps), .written = std::vector<std::vector<int64_t>>(order_.targets.size())};
  step.observed_tokens = 1;
  for (const size_t f : order_.observations) step.observed_tokens += step.read.fields[f].valid.sum().item<int64_t>();
  if (const int64_t least = num_start_ + step.observed_tokens + least_written_; least > options_.context)
    throw Error(
        "a timestep of " + std::to_string(least) + " tokens does not fit into a context of " + std::to_string(options_.context),
        "the run's train.context has to hold one timestep");
  return step;
}

int64_t Policy::tokens_of(const Session& session, size_t step) const {
  int64_t tokens = session.memory[step].observed_tokens + (step == 0 ? num_start_ : 0);
  for (const auto& ids : session.memory[step].written) tokens += static_cast<int64_t>(ids.size());
  return tokens;
}

int64_t Policy::tokens_held(const Session& session) const {
  int64_t held = 0;
  for (size_t i = 0; i < session.memory.size(); ++i) held += tokens_of(session, i);
  return held;
}

// Takes down a token of the present timestep, to be read by the model with the next pass.
void Policy::write_id(Session& session, size_t field, int64_t id) {
  auto& step = session.memory.back();
  const bool action = use_of(schema_.fields[order_.targets[field]]).action;
  int64_t local = step.observed_tokens;  // actions share a position and take none of the count
  for (size_t t = 0; t < step.written.size(); ++t)
    if (!use_of(schema_.fields[order_.targets[t]]).action) local += static_cast<int64_t>(step.written[t].size());
  session.pending = {id, static_cast<int64_t>(session.memory.size()) - 1, local, action};
  step.written[field].push_back(id);
}

// Forgets the oldest timesteps when the next one, of `fresh_tokens` at most, would not fit.
void Policy::make_room(Session& session, int64_t row, int64_t fresh_tokens) {
  const auto num_steps = static_cast<int64_t>(session.memory.size());
  const bool too_long = tokens_held(session) + fresh_tokens > options_.context;
  const bool too_many = options_.max_steps > 0 && num_steps + 1 > options_.max_steps;
  if (!too_long && !too_many) return;
  const int64_t budget = std::min(options_.context / 2, options_.context - fresh_tokens) - num_start_;
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
  if (first_step == 0) sequencer_->write_start(schema_, builder);
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
  const auto wanted = at::tensor(last, at::kLong).to(device);
  return agent_->forward(builder.finish().to(device), cache_.get(), wanted).flatten(0, 1).index_select(0, wanted);
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
    for (size_t i = 0; i < sessions.size(); ++i) write_id(sessions_[static_cast<size_t>(sessions[i])], field, ids[i]);
  }
}

// Whether one more token, its end and what the timestep still has to write fit into the memory.
bool Policy::has_room_for_text(const Session& session, size_t field) const {
  int64_t tokens = tokens_held(session) + 2;
  for (size_t t = field + 1; t < order_.targets.size(); ++t) tokens += least_tokens(schema_.fields[order_.targets[t]]);
  return tokens <= options_.context;
}

// Token by token until each session has written the end id; an answer that may not go on is ended, for training never shows
// one without an end.
void Policy::write_text(size_t field, std::span<const int64_t> sessions, at::Tensor& hidden) {
  const auto& vocabulary = tokenizer_->vocabulary();
  std::vector<int64_t> writing(sessions.begin(), sessions.end());
  for (int64_t j = 0; !writing.empty(); ++j) {
    if (sessions_[static_cast<size_t>(writing[0])].pending)
      hidden = forward(
          writing, [](size_t, LayoutBuilder&) {}, 1);
    const auto ids = sample(hidden, writing, {vocabulary.text(), {vocabulary.end(), 1}});
    std::vector<int64_t> still;
    for (size_t i = 0; i < writing.size(); ++i) {
      auto& session = sessions_[static_cast<size_t>(writing[i])];
      const bool goes_on = ids[i] != vocabulary.end() && j < options_.max_answer && has_room_for_text(session, field);
      write_id(session, field, goes_on ? ids[i] : vocabulary.end());
      if (goes_on) still.push_back(writing[i]);
    }
    writing = std::move(still);
  }
}

std::vector<Action> Policy::act(std::span<const int64_t> sessions, std::span<const Observation> observations) {
  TORCH_CHECK(!sessions.empty() && sessions.size() == observations.size(), "one observation per session");
  std::vector<Session::Step> steps;  // all are read before any session changes
  for (size_t i = 0; i < sessions.size(); ++i) {
    check_session(sessions[i]);
    steps.push_back(read(observations[i]));
  }
  int64_t capacity = 1;
  for (size_t i = 0; i < sessions.size(); ++i) {
    auto& session = sessions_[static_cast<size_t>(sessions[i])];
    make_room(session, sessions[i], std::min(steps[i].observed_tokens + most_written_, options_.context));
    session.memory.push_back(std::move(steps[i]));
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
    for (size_t i = 0; i < sessions.size(); ++i) {
      auto ids = sessions_[static_cast<size_t>(sessions[i])].memory.back().written[t];
      if (spec.modality == Modality::kText) ids.pop_back();  // the end
      actions[i][spec.name] = tokenizer_->decode(spec, ids);
    }
  }
  return actions;
}

}  // namespace mugato::act
