#include "mugato/seq/timesteps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mugato/core/error.h"
#include "random_episodes.h"

namespace mugato {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::random_episode;
using testing::random_schema;
using testing::small_tokenizer;
using ::testing::ThrowsMessage;

// Every field tells the timestep it belongs to.
const Schema kClocks{{{.name = "text"},
                      {.name = "image", .modality = Modality::kImage, .shape = {20, 20, 3}},
                      {.name = "number", .modality = Modality::kDiscrete, .num_values = {20}},
                      {.name = "height", .modality = Modality::kContinuous, .shape = {2}, .low = {0.0}, .high = {16.0}},
                      {.name = "action", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {20}}}};

Episode clocks(int64_t num_steps) {
  const auto e = at::arange(num_steps);
  Episode episode{.fields = std::vector<FieldValues>(5), .num_steps = num_steps, .id = "clocks"};
  for (int64_t i = 0; i < num_steps; ++i) episode.fields[0].text.emplace_back(i % 3 + 1, static_cast<char>('a' + i));
  episode.fields[1].values = e.to(at::kByte).view({-1, 1, 1, 1}).expand({num_steps, 20, 20, 3});
  episode.fields[2].values = e;
  episode.fields[3].values = e.to(at::kFloat).add(0.5).unsqueeze(1).expand({num_steps, 2});
  episode.fields[4].values = e;
  return episode;
}

void expect_steps(const Tokenizer& tokenizer, const Timesteps& timesteps, Window window) {
  const auto expected = at::arange(window.start, window.start + window.length);
  ASSERT_EQ(timesteps.num_steps, window.length);
  for (const auto& field : timesteps.fields) ASSERT_EQ(field.num_steps(), window.length);
  const auto& f = timesteps.fields;
  EXPECT_TRUE(at::equal(f[0].tokens.select(1, 0).flatten(), expected));
  EXPECT_TRUE(at::equal(f[0].valid.sum(1), expected.remainder(3) + 1));
  EXPECT_TRUE(at::equal(f[1].tokens.select(1, 0).select(1, 0).to(at::kLong), expected));
  EXPECT_TRUE(at::equal(f[2].tokens.flatten() - tokenizer.vocabulary().discrete().begin, expected));
  EXPECT_TRUE(at::equal(f[3].tokens.select(1, 1).flatten() - tokenizer.vocabulary().continuous().begin, expected));
  EXPECT_TRUE(at::equal(f[4].tokens.flatten() - tokenizer.vocabulary().discrete().begin, expected));
}

// μGATO drew one window for the observations and another for the actions.
TEST(Window, ObservationsAndActionsComeFromTheSameTimesteps) {
  const auto tokenizer = small_tokenizer();
  Random random(5);
  const auto episode = clocks(15);
  const auto whole = tokenizer.tokenize(kClocks, episode);
  for (int64_t i = 0; i < 100; ++i) {
    const int64_t start = random.below(15);
    const Window window{start, random.between(1, 15 - start)};
    const auto part = slice(whole, window);
    expect_steps(tokenizer, part, window);
    EXPECT_EQ(part.ends, start + window.length == 15);
    const auto cut = slice(episode, window);
    EXPECT_EQ(cut.id, episode.id);
    expect_steps(tokenizer, tokenizer.tokenize(kClocks, cut), window);
  }
  EXPECT_FALSE(slice(slice(whole, {0, 10}), {5, 5}).ends) << "the end of a window is not the end of the episode";
  for (const auto& [start, length] : {std::pair{-1, 2}, {0, 0}, {0, 16}, {15, 1}}) {
    EXPECT_THROW(slice(whole, {start, length}), c10::Error);
    EXPECT_THROW(slice(episode, {start, length}), c10::Error);
  }
}

class Ranges : public ::testing::TestWithParam<DiscreteRange> {};
INSTANTIATE_TEST_SUITE_P(Discrete, Ranges, ::testing::Values(DiscreteRange::kSeparate, DiscreteRange::kPaper));

// Ids of a timestep's field decode to its value: text and integers exactly, continuous values to the centre of their bin.
TEST_P(Ranges, IdsDecodeToTheValuesTheyCameFrom) {
  const auto tokenizer = small_tokenizer(GetParam());
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Random random(seed);
    const auto schema = random_schema(random);
    const auto episode = random_episode(random, *schema, 2);
    const auto timesteps = tokenizer.tokenize(*schema, episode);
    for (size_t i = 0; i < schema->fields.size(); ++i) {
      const auto& field = schema->fields[i];
      if (field.modality == Modality::kImage) continue;
      const auto ids_of = [&](const FieldTokens& tokens, int64_t e) {
        const auto ids = tokens.tokens[e].index({tokens.valid[e]}).flatten().contiguous();
        return std::vector<int64_t>(ids.data_ptr<int64_t>(), ids.data_ptr<int64_t>() + ids.numel());
      };
      for (int64_t e = 0; e < 2; ++e) {
        const auto ids = ids_of(timesteps.fields[i], e);
        for (size_t k = 0; k < ids.size() && !field.cells; ++k)
          EXPECT_TRUE(tokenizer.legal_ids(field, static_cast<int64_t>(k)).contains(ids[k])) << field.name;
        const Value value = tokenizer.decode(field, ids);
        if (field.modality == Modality::kText) {
          EXPECT_EQ(std::get<std::string>(value), episode.fields[i].text[static_cast<size_t>(e)]);
          continue;
        }
        const auto& decoded = std::get<at::Tensor>(value);
        EXPECT_EQ(decoded.sizes(), at::IntArrayRef(field.shape));
        if (field.modality == Modality::kDiscrete) {
          EXPECT_TRUE(at::equal(decoded, episode.fields[i].values[e]));
        } else {  // a value that has been rounded to its bin's centre stays there
          const auto again = tokenizer.tokenize(field, {decoded.unsqueeze(0)});
          EXPECT_EQ(ids_of(again, 0), ids) << field.name;
        }
      }
    }
  }
}

TEST_P(Ranges, LegalIdsAreThoseOfTheFieldsValuesAndNoOthers) {
  const auto tokenizer = small_tokenizer(GetParam());
  const auto& vocabulary = tokenizer.vocabulary();
  const FieldSpec move{.name = "move", .modality = Modality::kDiscrete, .role = Role::kAction, .shape = {2}, .num_values = {5}};
  for (const int64_t i : {0, 1}) {
    EXPECT_EQ(tokenizer.legal_ids(move, i).begin, vocabulary.discrete().begin);
    EXPECT_EQ(tokenizer.legal_ids(move, i).size, 5);
  }
  EXPECT_THROW(tokenizer.legal_ids(move, 2), c10::Error);
  const FieldSpec push{.name = "push", .modality = Modality::kContinuous, .role = Role::kAction};
  EXPECT_EQ(tokenizer.legal_ids(push, 0).begin, vocabulary.continuous().begin);
  EXPECT_EQ(tokenizer.legal_ids(push, 0).size, vocabulary.continuous().size);
  EXPECT_EQ(tokenizer.legal_ids({.name = "reply", .role = Role::kAnswer}, 0).size, vocabulary.text().size);
  EXPECT_THROW(tokenizer.legal_ids({.name = "look", .modality = Modality::kImage}, 0), c10::Error);
}

TEST(Tokenizer, TokensPerStepAreThoseThatTheSequencerWrites) {
  const auto tokenizer = small_tokenizer();
  const Sequencer sequencer(tokenizer.vocabulary(), {});
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Random random(seed);
    const auto schema = random_schema(random);
    const int64_t num_steps = schema->fields[0].role == Role::kText ? 1 : 4;
    const auto episode = random_episode(random, *schema, num_steps);
    const auto counts = tokenizer.tokens_per_step(*schema, episode);
    ASSERT_EQ(static_cast<int64_t>(counts.size()), num_steps);
    const std::vector<std::vector<Sample>> rows{{{schema, tokenizer.tokenize(*schema, episode)}}};
    const auto layout = sequencer.lay_out(rows, 300, 1).layout;
    int64_t sum = 0;
    for (int64_t e = 0; e < num_steps; ++e) {
      sum += counts[static_cast<size_t>(e)];
      const auto of_fields = (layout.ids != TokenLayout::kPad) & (layout.timestep == e) & (layout.field >= 0);
      EXPECT_EQ(of_fields.sum().item<int64_t>(), counts[static_cast<size_t>(e)]);
    }
    EXPECT_EQ(layout.num_tokens(), sum + sequencer.num_extra_tokens(*schema, num_steps));
  }
}

TEST(Tokenizer, TextIsValidWhereItIsAndImagesKeepTheirGrid) {
  const auto tokenizer = small_tokenizer();
  const auto text = tokenizer.tokenize({.name = "text"}, {.text = {"ab", "", "abc"}});
  EXPECT_EQ(text.tokens.sizes(), at::IntArrayRef({3, 3, 1}));
  EXPECT_TRUE(at::equal(text.valid.sum(1), at::tensor({2, 0, 3}, at::kLong)));
  EXPECT_TRUE(at::equal(text.tokens.squeeze(2).masked_select(~text.valid), at::zeros({4}, at::kLong)));
  const auto image = tokenizer.tokenize({.name = "image", .modality = Modality::kImage}, {at::zeros({2, 17, 40}, at::kByte)});
  EXPECT_EQ(image.tokens.sizes(), at::IntArrayRef({2, 6, kPatchBytes}));
  ASSERT_EQ(static_cast<int64_t>(image.grids.size()), image.num_steps());
  EXPECT_EQ(image.grids[0].rows, 2);
  EXPECT_EQ(image.grids[0].columns, 3);
  EXPECT_TRUE(image.valid.all().item<bool>());
}

template <class Function>
void expect_error(Function function, const std::vector<std::string>& parts) {
  for (const auto& part : parts) EXPECT_THAT(function, ThrowsMessage<Error>(HasSubstr(part)));
}

TEST(Tokenizer, ErrorsNameTheFieldAndTheEpisode) {
  const auto tokenizer = small_tokenizer();
  const std::string where = "of 'clocks'";
  const auto broken = [&](size_t field, FieldValues values, const std::string& what) {
    auto episode = clocks(3);
    episode.fields[field] = std::move(values);
    expect_error([&] { tokenizer.tokenize(kClocks, episode); },
                 {"'" + kClocks.fields[field].name + "' " + where, what, "hint: "});
  };
  broken(0, {.text = {"a", "b"}}, "2 timesteps of 3");
  broken(1, {at::zeros({3, 20, 21, 3}, at::kByte)}, "(3,20,21,3), its schema says (E,20,20,3)");
  broken(1, {at::full({3, 20, 20, 3}, 1.5)}, "not in [0, 1]");
  broken(1, {}, "no values");
  broken(2, {at::full({3}, 20, at::kLong)}, "value 20");
  broken(2, {at::zeros({3, 1}, at::kLong)}, "(3,1), its schema says (E)");
  broken(2, {at::zeros({}, at::kLong)}, "()");
  broken(3, {at::zeros({2, 2})}, "2 timesteps of 3");
  broken(3, {at::full({3, 2}, std::nan(""))}, "index 0");
  broken(4, {at::zeros({3})}, "Float");
  auto episode = clocks(3);
  episode.fields.pop_back();
  expect_error([&] { tokenizer.tokenize(kClocks, episode); }, {"'clocks' has 4 fields, its schema 5"});
  expect_error([&] { tokenizer.tokens_per_step(kClocks, episode); }, {"'clocks' has 4 fields, its schema 5"});
  episode = clocks(3);
  episode.fields[0].text.push_back("d");
  expect_error([&] { tokenizer.tokens_per_step(kClocks, episode); }, {"'text' of 'clocks' has 4 timesteps of 3"});
}

// Parts differ in the lengths of their texts and the sizes of their images.
TEST(Concatenate, GivesThePartsBack) {
  Random random(31);
  const auto tokenizer = testing::small_tokenizer();
  for (int trial = 0; trial < 100; ++trial) {
    const auto schema = testing::random_schema(random);
    if (schema->is_text_document()) continue;
    std::vector<Timesteps> parts;
    int64_t clipped = 0;
    for (int64_t i = random.between(1, 4); i > 0; --i) {
      parts.push_back(tokenizer.tokenize(*schema, testing::random_episode(random, *schema, random.between(1, 3))));
      clipped += parts.back().num_clipped();
    }
    const auto whole = concatenate(parts);
    EXPECT_EQ(whole.num_clipped(), clipped);
    int64_t start = 0;
    for (const auto& part : parts) {
      const auto back = slice(whole, {start, part.num_steps});
      start += part.num_steps;
      for (size_t f = 0; f < part.fields.size(); ++f) {
        const auto &expected = part.fields[f], &found = back.fields[f];
        const auto width = expected.tokens_per_step();
        EXPECT_TRUE(found.tokens.narrow(1, 0, width).equal(expected.tokens));
        EXPECT_TRUE(found.valid.narrow(1, 0, width).equal(expected.valid));
        EXPECT_FALSE(found.valid.narrow(1, width, found.tokens_per_step() - width).any().item<bool>());
        ASSERT_EQ(found.grids.size(), expected.grids.size());
        for (size_t e = 0; e < expected.grids.size(); ++e) EXPECT_EQ(found.grids[e].columns, expected.grids[e].columns);
      }
    }
    EXPECT_EQ(start, whole.num_steps);
  }
}

bool same(const MicroBatch& a, const MicroBatch& b) {
  return a.layout.ids.equal(b.layout.ids) && a.layout.slots.equal(b.layout.slots) &&
         a.layout.patch_index.equal(b.layout.patch_index) && a.layout.patch_row.equal(b.layout.patch_row) &&
         a.layout.patch_column.equal(b.layout.patch_column) && a.patches.equal(b.patches);
}

TEST(Tokenizer, PatchesThatAreCutLaterAreTheSame) {
  Random random(47);
  const auto tokenizer = testing::small_tokenizer();
  const Sequencer sequencer(tokenizer.vocabulary(), {});
  int64_t num_later = 0;
  for (int trial = 0; trial < 60; ++trial) {
    const int64_t height = random.between(1, 70), width = random.between(1, 70), channels = random.chance(0.5) ? 3 : 1;
    const auto schema = std::make_shared<const Schema>(
        Schema{{{.name = "image", .modality = Modality::kImage, .shape = {height, width, channels}},
                {.name = "action", .modality = Modality::kDiscrete, .role = Role::kAction, .num_values = {7}}}});
    const int64_t num_steps = random.between(1, 6);
    auto images = at::randint(256, {num_steps, height, width, channels}, at::kByte);
    if (random.chance(0.2)) images = images.to(at::kFloat) / 255;
    const Episode episode{.fields = {{images, {}}, {at::zeros({num_steps}, at::kLong), {}}}, .num_steps = num_steps, .id = "e"};
    const auto window = Window{random.below(num_steps), 1};
    const auto cut = tokenizer.tokenize(*schema, episode);
    const auto later = tokenizer.tokenize(*schema, episode, Tokenizer::Patches::kLater);
    num_later += later.fields[0].images.defined();
    EXPECT_EQ(later.fields[0].images.defined(), images.scalar_type() == at::kByte);
    EXPECT_EQ(later.fields[0].tokens_per_step(), cut.fields[0].tokens_per_step());
    const auto lay_out = [&](const Timesteps& timesteps) {
      const std::vector<std::vector<Sample>> rows{{{schema, timesteps}}};
      return sequencer.lay_out(rows, sequencer.num_tokens(rows[0][0]) + 3, 1);
    };
    EXPECT_TRUE(same(lay_out(later), lay_out(cut)));
    EXPECT_TRUE(same(lay_out(slice(later, window)), lay_out(slice(cut, window))));
    EXPECT_TRUE(same(lay_out(concatenate(std::vector{later, later})), lay_out(concatenate(std::vector{cut, cut}))));
  }
  EXPECT_GT(num_later, 30);
}

// Else the queue of a loader would keep whole episodes.
TEST(Tokenizer, AShortWindowKeepsNoLongEpisode) {
  const Schema schema{{{.name = "image", .modality = Modality::kImage, .shape = {32, 32, 3}}}};
  const Episode episode{.fields = {{at::zeros({50, 32, 32, 3}, at::kByte), {}}}, .num_steps = 50, .id = "long"};
  const auto part = testing::small_tokenizer().tokenize(schema, slice(episode, {10, 5}), Tokenizer::Patches::kLater);
  EXPECT_FALSE(part.fields[0].images.defined());
  EXPECT_EQ(part.fields[0].tokens.storage().nbytes(), static_cast<size_t>(5 * 4 * kPatchBytes));
}

TEST(Tokenizer, TextNeedsItsOwnTokenizer) {
  EXPECT_THAT([] { Tokenizer(Vocabulary({.text_size = 30}), std::make_shared<testing::LetterTokenizer>(20)); },
              ThrowsMessage<Error>(AllOf(HasSubstr("20 pieces"), HasSubstr("30"))));
  const Tokenizer none(Vocabulary({.text_size = 30}), nullptr);
  EXPECT_NO_THROW(none.tokenize({.name = "x", .modality = Modality::kContinuous}, {at::zeros({2})}));
  EXPECT_THAT([&] { none.tokenize({.name = "words"}, {.text = {"ab"}}); }, ThrowsMessage<Error>(HasSubstr("tokens.text")));
}

TEST(Tokenizer, CountsTheValuesThatItClips) {
  const auto tokenizer = testing::small_tokenizer();
  const Schema schema{
      {{.name = "heat", .modality = Modality::kContinuous, .shape = {2}, .low = {-1.0}, .high = {1.0}},
       {.name = "push", .modality = Modality::kContinuous, .role = Role::kAction, .low = {0.0}, .high = {2.0}}}};
  const Episode episode{.fields = {{at::tensor({0.0F, 5.0F, -1.5F, 1.0F}).reshape({2, 2})}, {at::tensor({-0.5F, 2.0F})}},
                        .num_steps = 2,
                        .id = "hot"};
  const auto timesteps = tokenizer.tokenize(schema, episode);
  EXPECT_EQ(timesteps.fields[0].num_clipped, 2);
  EXPECT_EQ(timesteps.fields[1].num_clipped, 1);
  EXPECT_EQ(timesteps.num_clipped(), 3);
}

}  // namespace
}  // namespace mugato
