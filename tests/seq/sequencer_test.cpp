// The order of tokens, which of them are targets, and where documents end, against a stream that is written down here a
// second time, from the schema and the tokenized timesteps alone.
#include "mugato/seq/sequencer.h"

#include <gtest/gtest.h>

#include <set>

#include "random_episodes.h"

namespace mugato {
namespace {

using testing::random_rows;
using testing::random_sample;
using testing::small_tokenizer;

struct Token {
  std::vector<int64_t> ids;  // several for a cell, none for a patch
  std::string bytes;         // of a patch
  int64_t field = -1, timestep = 0, local = 0;
  bool target = false;
};

bool is_read(const FieldSpec& field) { return field.role == Role::kObservation || field.role == Role::kPrompt; }

std::vector<size_t> sorted_fields(const Schema& schema, bool targets, const std::vector<Modality>& modalities) {
  std::map<std::string, size_t> by_name;
  for (size_t i = 0; i < schema.fields.size(); ++i) {
    const auto& field = schema.fields[i];
    if (is_read(field) != targets && std::count(modalities.begin(), modalities.end(), field.modality) > 0)
      by_name[field.name] = i;
  }
  std::vector<size_t> sorted;
  for (const auto& [name, i] : by_name) sorted.push_back(i);
  return sorted;
}

void append(std::vector<Token>& stream, const Sample& sample, size_t i, int64_t e, int64_t& local, bool text_observations) {
  const auto& spec = sample.schema->fields[i];
  const auto& field = sample.timesteps.fields[i];
  for (int64_t t = 0; t < field.tokens.size(1); ++t) {
    if (!field.valid[e][t].item<bool>()) continue;
    Token token{.field = static_cast<int64_t>(i), .timestep = e};
    token.local = spec.role == Role::kAction ? TokenLayout::kActionPosition : local++;
    token.target = !is_read(spec) || (spec.modality == Modality::kText && spec.role == Role::kObservation && text_observations);
    const auto values = field.tokens[e][t].contiguous();
    if (spec.modality == Modality::kImage) token.bytes.assign(static_cast<const char*>(values.data_ptr()), kPatchBytes);
    else
      for (int64_t c = 0; c < values.numel(); ++c) token.ids.push_back(values[c].item<int64_t>());
    stream.push_back(token);
  }
}

std::vector<Token> expected_stream(const Sample& sample, const Vocabulary& vocabulary, bool text_observations) {
  const auto& schema = *sample.schema;
  const std::vector<std::vector<Modality>> groups{
      {Modality::kText}, {Modality::kImage}, {Modality::kDiscrete, Modality::kContinuous}};
  const auto written = sorted_fields(schema, true, {Modality::kText, Modality::kDiscrete, Modality::kContinuous});
  const bool is_document = schema.fields[0].role == Role::kText;
  std::vector<Token> stream;
  if (const auto texts = sorted_fields(schema, false, {Modality::kText});
      text_observations && !texts.empty() && schema.fields[texts[0]].role == Role::kObservation)
    stream.push_back({.ids = {vocabulary.separator()}});
  int64_t local = 0;
  for (int64_t e = 0; e < sample.timesteps.num_steps; ++e) {
    local = 0;
    for (const auto& group : groups)
      for (const size_t i : sorted_fields(schema, false, group)) append(stream, sample, i, e, local, text_observations);
    if (!is_document || sample.timesteps.starts)
      stream.push_back({.ids = {vocabulary.separator()}, .timestep = e, .local = local++});
    for (const size_t i : written) {
      append(stream, sample, i, e, local, text_observations);
      if (schema.fields[i].modality == Modality::kText && (!is_document || sample.timesteps.ends))
        stream.push_back({.ids = {vocabulary.end()}, .timestep = e, .local = local++, .target = true});
    }
  }
  return stream;
}

// What lies in slot `slot`, read out of the layout's compact lists.
struct Reader {
  explicit Reader(const MicroBatch& batch) {
    const auto& l = batch.layout;
    for (int64_t n = 0; n < l.id_values.size(0); ++n) at(l.slots[n]).ids = {l.id_values[n].item<int64_t>()};
    for (int64_t c = 0; c < l.cell_index.size(0); ++c)
      at(l.slots[l.cell_index[c].item<int64_t>()]).ids.push_back(l.cell_values[c].item<int64_t>());
    for (int64_t p = 0; p < l.patch_index.size(0); ++p) {
      const auto patch = batch.patches[l.patch_index[p].item<int64_t>()];
      at(l.slots[l.id_values.size(0) + p]).bytes.assign(static_cast<const char*>(patch.data_ptr()), kPatchBytes);
    }
    for (auto& [slot, token] : tokens) {
      token.field = l.field.flatten()[slot].item<int64_t>();
      token.timestep = l.timestep.flatten()[slot].item<int64_t>();
      token.local = l.local.flatten()[slot].item<int64_t>();
    }
    for (int64_t k = 0; k < l.targets.size(0); ++k) tokens.at(l.target_slots[k].item<int64_t>() + 1).target = true;
  }
  Token& at(const at::Tensor& slot) { return tokens[slot.item<int64_t>()]; }
  std::map<int64_t, Token> tokens;
};

// Some of the texts that are read become prompts, and some text documents lose their beginning.
void vary(std::vector<std::vector<Sample>>& rows, Random& random) {
  for (auto& row : rows)
    for (auto& sample : row) {
      auto schema = *sample.schema;
      for (auto& field : schema.fields)
        if (field.modality == Modality::kText && field.role == Role::kObservation && random.chance(0.3))
          field.role = Role::kPrompt;
      sample.schema = std::make_shared<const Schema>(schema);
      if (schema.is_text_document()) sample.timesteps.starts = random.chance(0.5);
    }
}

class RandomStreams : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(TextObservations, RandomStreams, ::testing::Bool());

TEST_P(RandomStreams, AreTextImagesValuesSeparatorAndTargets) {
  const Sequencer sequencer(testing::small_vocabulary(), {.text_observations = GetParam()});
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    constexpr int64_t kCapacity = 100;
    auto rows = random_rows(random, small_tokenizer(), sequencer, 3, kCapacity);
    vary(rows, random);
    const auto batch = sequencer.lay_out(rows, kCapacity, 1);
    const Reader reader(batch);
    size_t num_tokens = 0, document = 0;
    for (size_t row = 0; row < rows.size(); ++row) {
      int64_t slot = static_cast<int64_t>(row) * kCapacity;
      for (const auto& sample : rows[row]) {
        const auto stream = expected_stream(sample, sequencer.vocabulary(), GetParam());
        ASSERT_EQ(static_cast<int64_t>(stream.size()), sequencer.num_tokens(sample));
        const auto& span = batch.layout.documents[document++];
        EXPECT_EQ(span.row, static_cast<int64_t>(row));
        EXPECT_EQ(span.row * kCapacity + span.begin, slot);
        EXPECT_EQ(span.length, static_cast<int64_t>(stream.size()));
        for (size_t i = 0; i < stream.size(); ++i, ++slot) {
          SCOPED_TRACE(slot);
          const auto& token = reader.tokens.at(slot);
          EXPECT_EQ(token.ids, stream[i].ids);
          EXPECT_EQ(token.bytes, stream[i].bytes);
          EXPECT_EQ(token.field, stream[i].field);
          EXPECT_EQ(token.timestep, stream[i].timestep);
          EXPECT_EQ(token.local, stream[i].local);
          EXPECT_EQ(token.target, stream[i].target && i > 0);
          EXPECT_EQ(batch.layout.position.flatten()[slot].item<int64_t>(), static_cast<int64_t>(i));
        }
        num_tokens += stream.size();
      }
    }
    EXPECT_EQ(reader.tokens.size(), num_tokens);
    EXPECT_EQ(batch.layout.num_tokens(), static_cast<int64_t>(num_tokens));
    EXPECT_EQ(batch.layout.documents.size(), document);
  }
}

// Read off the layout alone: whatever was written, a target is the token right after its slot.
TEST_P(RandomStreams, ATargetIsTheVeryNextTokenOfItsDocument) {
  const Sequencer sequencer(testing::small_vocabulary(), {.text_observations = GetParam()});
  constexpr int64_t kCapacity = 120, kDomains = 3;
  for (uint64_t seed = 100; seed < 160; ++seed) {
    Random random(seed);
    const auto batch =
        sequencer.lay_out(random_rows(random, small_tokenizer(), sequencer, 4, kCapacity, kDomains), kCapacity, kDomains);
    const auto& l = batch.layout;
    const auto ids = l.ids.flatten(), document = l.document.flatten(), position = l.position.flatten();
    const auto next = l.target_slots + 1;
    EXPECT_TRUE(at::equal(ids.index_select(0, next), l.targets));
    EXPECT_TRUE(at::equal(document.index_select(0, next), document.index_select(0, l.target_slots)));
    EXPECT_TRUE(at::equal(next.floor_divide(kCapacity), l.target_slots.floor_divide(kCapacity))) << "a target in another row";
    EXPECT_TRUE(at::equal(position.index_select(0, next), position.index_select(0, l.target_slots) + 1));
    EXPECT_EQ(std::get<0>(at::_unique(l.target_slots)).size(0), l.num_targets()) << "a slot predicts two tokens";
    for (int64_t d = 0; d < kDomains; ++d)
      EXPECT_EQ((l.target_domains == d).sum().item<int64_t>(), batch.target_counts[static_cast<size_t>(d)]);
  }
}

TEST(Sequencer, OrdersATimestepAsThePaperDoes) {
  const Schema schema{{{.name = "turn", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {4}},
                       {.name = "velocity", .modality = Modality::kContinuous},
                       {.name = "camera", .modality = Modality::kImage},
                       {.name = "door", .modality = Modality::kDiscrete, .num_values = {2}},
                       {.name = "zeal", .modality = Modality::kText},
                       {.name = "push", .modality = Modality::kContinuous, .role = Role::kAction},
                       {.name = "aerial", .modality = Modality::kImage}}};
  const auto order = step_order(schema);
  std::vector<std::string> names;
  for (const size_t i : order.observations) names.push_back(schema.fields[i].name);
  EXPECT_EQ(names, std::vector<std::string>({"zeal", "aerial", "camera", "door", "velocity"}));
  names.clear();
  for (const size_t i : order.targets) names.push_back(schema.fields[i].name);
  EXPECT_EQ(names, std::vector<std::string>({"push", "turn"}));
}

TEST(Sequencer, ATextDocumentIsSeparatorLettersEndAndAllButTheSeparatorAreTargets) {
  const auto schema = std::make_shared<Schema>(Schema{{{.name = "text", .role = Role::kText}}});
  const auto tokenizer = small_tokenizer();
  const Sequencer sequencer(tokenizer.vocabulary(), {});
  Episode episode{.fields = {{.text = {"cab"}}}, .num_steps = 1, .id = "words"};
  Sample sample{schema, tokenizer.tokenize(*schema, episode)};
  const int64_t separator = tokenizer.vocabulary().separator(), end = tokenizer.vocabulary().end();
  const std::vector<std::vector<Sample>> rows{{sample}};
  const auto whole = sequencer.lay_out(rows, 6, 1);
  EXPECT_TRUE(
      at::equal(whole.layout.ids[0], at::tensor({separator, int64_t{2}, int64_t{0}, int64_t{1}, end, TokenLayout::kPad})));
  EXPECT_TRUE(at::equal(whole.layout.targets, at::tensor({int64_t{2}, int64_t{0}, int64_t{1}, end})));
  EXPECT_TRUE(at::equal(whole.layout.target_slots, at::arange(4)));

  sample.timesteps.ends = false;  // a window that is cut off does not teach where to stop
  const std::vector<std::vector<Sample>> cut{{sample}};
  const auto part = sequencer.lay_out(cut, 6, 1);
  EXPECT_TRUE(at::equal(part.layout.targets, at::tensor({2, 0, 1}, at::kLong)));

  sample.timesteps.starts = false;  // and one that begins within the text does not teach how texts begin
  const std::vector<std::vector<Sample>> middle{{sample}};
  const auto inside = sequencer.lay_out(middle, 3, 1);
  EXPECT_TRUE(at::equal(inside.layout.ids[0], at::tensor({2, 0, 1}, at::kLong)));
  EXPECT_TRUE(at::equal(inside.layout.targets, at::tensor({0, 1}, at::kLong)));
}

// The ids and, of those, the targets.
std::pair<std::vector<int64_t>, std::vector<int64_t>> read_document(const Sequencer& sequencer, const Sample& sample) {
  const std::vector<std::vector<Sample>> rows{{sample}};
  const auto layout = sequencer.lay_out(rows, sequencer.num_tokens(sample), 1).layout;
  const auto read = [](const at::Tensor& tensor) {
    return std::vector<int64_t>(tensor.const_data_ptr<int64_t>(), tensor.const_data_ptr<int64_t>() + tensor.numel());
  };
  return {read(layout.ids[0].contiguous()), read(layout.targets)};
}

Sample dialogue(const Tokenizer& tokenizer, Role role) {
  const auto schema =
      std::make_shared<Schema>(Schema{{{.name = "line", .role = role}, {.name = "reply", .role = Role::kAnswer}}});
  const Episode episode{.fields = {{.text = {"a", "bc", "d"}}, {.text = {"ef", "", "g"}}}, .num_steps = 3, .id = "three turns"};
  return {schema, tokenizer.tokenize(*schema, episode)};
}

TEST(Sequencer, AnEndFollowsEveryReplyAndIsATarget) {
  const auto tokenizer = small_tokenizer();
  const Sequencer sequencer(tokenizer.vocabulary(), {});
  const int64_t separator = tokenizer.vocabulary().separator(), end = tokenizer.vocabulary().end();
  auto sample = dialogue(tokenizer, Role::kObservation);
  for (const bool ends : {true, false}) {  // an answer is over, whether its episode is or not
    sample.timesteps.ends = ends;
    const auto [ids, targets] = read_document(sequencer, sample);
    EXPECT_EQ(ids, (std::vector<int64_t>{0, separator, 4, 5, end, 1, 2, separator, end, 3, separator, 6, end}));
    EXPECT_EQ(targets, (std::vector<int64_t>{4, 5, end, end, 6, end}));
  }
}

TEST(Sequencer, TextObservationsArePredictedFromTheirFirstTokenAndPromptsNever) {
  const auto tokenizer = small_tokenizer();
  const Sequencer sequencer(tokenizer.vocabulary(), {.text_observations = true});
  const int64_t separator = tokenizer.vocabulary().separator(), end = tokenizer.vocabulary().end();
  const auto [ids, targets] = read_document(sequencer, dialogue(tokenizer, Role::kObservation));
  EXPECT_EQ(ids, (std::vector<int64_t>{separator, 0, separator, 4, 5, end, 1, 2, separator, end, 3, separator, 6, end}));
  EXPECT_EQ(targets, (std::vector<int64_t>{0, 4, 5, end, 1, 2, end, 3, 6, end}));
  const auto [prompted, answers] = read_document(sequencer, dialogue(tokenizer, Role::kPrompt));
  EXPECT_EQ(prompted, (std::vector<int64_t>{0, separator, 4, 5, end, 1, 2, separator, end, 3, separator, 6, end}));
  EXPECT_EQ(answers, (std::vector<int64_t>{4, 5, end, end, 6, end}));
}

TEST(Sequencer, ThereAreAsManyEndsAsAnswersAndWholeTexts) {
  const auto tokenizer = small_tokenizer();
  const Sequencer sequencer(tokenizer.vocabulary(), {});
  std::set<int64_t> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    const auto sample = random_sample(random, tokenizer);
    int64_t expected = 0;
    for (const auto& field : sample.schema->fields) {
      if (field.role == Role::kAnswer) expected += sample.timesteps.num_steps;
      if (field.role == Role::kText && sample.timesteps.ends) ++expected;
    }
    const auto ids = read_document(sequencer, sample).first;
    EXPECT_EQ(std::count(ids.begin(), ids.end(), tokenizer.vocabulary().end()), expected);
    seen.insert(expected);
  }
  EXPECT_GE(seen.size(), 4U) << "0 to 3 timesteps with an answer";
}

// Where a patch is said to be: in training anywhere in its interval, one draw per row and column of a picture, and in
// evaluation in the middle (paper C.3).
TEST(Sequencer, PatchPositionsAreDrawnWithinTheIntervalAndAreItsMeanInEvaluation) {
  const auto schema =
      std::make_shared<Schema>(Schema{{{.name = "image", .modality = Modality::kImage, .shape = {64, 32, 3}},
                                       {.name = "move", .modality = Modality::kContinuous, .role = Role::kAction}}});
  const auto tokenizer = small_tokenizer();
  const Sequencer sequencer(tokenizer.vocabulary(), {});
  const Episode episode{.fields = {{at::zeros({2, 64, 32, 3}, at::kByte)}, {at::zeros({2})}}, .num_steps = 2, .id = "grey"};
  const std::vector<std::vector<Sample>> rows{{{schema, tokenizer.tokenize(*schema, episode)}}};
  const auto evaluation = sequencer.lay_out(rows, 24, 1).layout;
  EXPECT_TRUE(at::equal(evaluation.patch_row, at::tensor({16, 16, 48, 48, 80, 80, 112, 112}, at::kLong).repeat({2})));
  EXPECT_TRUE(at::equal(evaluation.patch_column, at::tensor({32, 96}, at::kLong).repeat({8})));
  EXPECT_TRUE(at::equal(evaluation.patch_number, at::arange(8).repeat({2})));

  std::set<int64_t> seen;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    std::vector<Random> randoms{Random(seed)};
    const auto training = sequencer.lay_out(rows, 24, 1, randoms).layout;
    const auto row = training.patch_row.view({2, 4, 2}), column = training.patch_column.view({2, 4, 2});
    EXPECT_TRUE(at::equal(row.select(2, 0), row.select(2, 1))) << "patches of one row lie in one row";
    EXPECT_TRUE(at::equal(column, column.select(1, 0).unsqueeze(1).expand_as(column)));
    for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(row[0][i][0].item<int64_t>() / 32, i);
    for (int64_t i = 0; i < 2; ++i) EXPECT_EQ(column[1][0][i].item<int64_t>() / 64, i);
    seen.insert(row[1][0][0].item<int64_t>());
  }
  EXPECT_EQ(seen.size(), 32) << "every bucket of the interval is drawn";
}

TEST(Sequencer, ARowThatIsTooShortIsAnError) {
  const auto tokenizer = small_tokenizer();
  const Sequencer sequencer(tokenizer.vocabulary(), {});
  Random random(3);
  const auto sample = random_sample(random, tokenizer);
  const std::vector<std::vector<Sample>> rows{{sample}};
  EXPECT_NO_THROW(sequencer.lay_out(rows, sequencer.num_tokens(sample), 1));
  EXPECT_THROW(sequencer.lay_out(rows, sequencer.num_tokens(sample) - 1, 1), c10::Error);
}

}  // namespace
}  // namespace mugato
