#include "mugato/env/shapes_qa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "mugato/core/error.h"

namespace mugato::env {
namespace {

using testing::HasSubstr;

std::string form_name(ShapesQa::Form form) {
  return form == ShapesQa::Form::kCircle ? "circle" : form == ShapesQa::Form::kSquare ? "square" : "triangle";
}

// What a child would call a shape, read from the scene.
struct Named {
  std::string color, form;
};

std::vector<Named> read(const ShapesQa::Scene& scene) {
  std::vector<Named> all;
  for (const auto& shape : scene.shapes) all.push_back({name_of(shape.color), form_name(shape.form)});
  return all;
}

std::vector<std::string> words_of(const std::string& question) {
  EXPECT_EQ(question.back(), '?');
  std::istringstream stream(question.substr(0, question.size() - 1));
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// All answers that are right by reading the question's words; a well-posed question has one.
std::set<std::string> answers(const std::vector<std::string>& words, const std::vector<Named>& shapes) {
  std::set<std::string> right;
  if (words[0] == "is") {  // is there a red circle
    EXPECT_EQ(words[2], words[3] == "orange" ? "an" : "a");
    bool found = false;
    for (const auto& shape : shapes) found |= shape.color == words[3] && shape.form == words[4];
    right.insert(found ? "yes" : "no");
  } else if (words[0] == "how") {  // how many circles are there
    int64_t number = 0;
    for (const auto& shape : shapes) number += words[2] == "shapes" || words[2] == shape.form + "s" ? 1 : 0;
    right.insert(std::to_string(number));
  } else if (words[1] == "color") {  // what color is the circle
    for (const auto& shape : shapes) {
      if (shape.form == words[4]) {
        EXPECT_TRUE(right.insert(shape.color).second) << "more than one of them";
      }
    }
  } else {  // what shape is the red one
    for (const auto& shape : shapes) {
      if (shape.color == words[4]) {
        EXPECT_TRUE(right.insert(shape.form).second) << "more than one of them";
      }
    }
  }
  return right;
}

at::Tensor image_of(const Observation& observation) { return std::get<at::Tensor>(observation.at("image")); }

TEST(EnvShapesQa, AnswersAreRightByTheWords) {
  ShapesQa world;
  for (uint64_t i = 0; i < 4000; ++i) {
    const auto observation = world.reset(i % 2 == 0 ? train_seed(i) : evaluation_seed(i));
    const auto& question = std::get<std::string>(observation.at("question"));
    EXPECT_EQ(question, world.scene().question);
    EXPECT_EQ(answers(words_of(question), read(world.scene())), std::set<std::string>{world.scene().answer}) << question;
  }
}

TEST(EnvShapesQa, ScenesAreLegal) {
  for (uint64_t i = 0; i < 4000; ++i) {
    const auto scene = ShapesQa::scene_of(i);
    ASSERT_GE(scene.shapes.size(), 1U);
    ASSERT_LE(scene.shapes.size(), 4U);
    std::set<int64_t> cells;
    for (const auto& shape : scene.shapes) {
      EXPECT_TRUE(shape.cell >= 0 && shape.cell < 9);
      EXPECT_TRUE(cells.insert(shape.cell).second) << "two shapes in a cell";
      EXPECT_TRUE(std::abs(shape.shift_x) <= 1 && std::abs(shape.shift_y) <= 1);
      EXPECT_TRUE(shape.radius == 5 || shape.radius == 6);
    }
  }
}

// The pixels alone give back cell, colour and form: the colour by the brightest ink, the form by how the width grows from
// the top row to the bottom row (a triangle's grows, a circle's grows and shrinks, a square's stays).
TEST(EnvShapesQa, ImageShowsTheScene) {
  ShapesQa world;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    const auto image = image_of(world.reset(seed)).to(at::kLong);
    const auto is_ink = (image != image[0][0]).any(2);  // the corner is free: shapes keep a pixel from their cell's border
    std::map<int64_t, Named> seen;
    for (int64_t cell = 0; cell < 9; ++cell) {
      const auto part = is_ink.narrow(0, cell / 3 * 16, 16).narrow(1, cell % 3 * 16, 16);
      if (!part.any().item<bool>()) continue;
      const auto widths = part.sum(1).masked_select(part.any(1));
      const auto first = widths[0].item<int64_t>(), last = widths[-1].item<int64_t>(), most = widths.max().item<int64_t>();
      const auto pixels = image.narrow(0, cell / 3 * 16, 16).narrow(1, cell % 3 * 16, 16).reshape({256, 3});
      const auto rows = at::nonzero(part.flatten()).flatten();
      const auto ink = pixels[rows[0].item<int64_t>()];
      EXPECT_TRUE((pixels.index_select(0, rows) == ink).all().item<bool>()) << "a shape has one colour";
      Named named;
      for (const Color color : {Color::kRed, Color::kGreen, Color::kBlue, Color::kYellow, Color::kPurple, Color::kOrange}) {
        const auto rgb = rgb_of(color);
        if (at::equal(ink, at::tensor({int64_t{rgb.red}, int64_t{rgb.green}, int64_t{rgb.blue}}))) named.color = name_of(color);
      }
      named.form = first == last ? (first == most ? "square" : "circle") : "triangle";
      seen[cell] = named;
    }
    ASSERT_EQ(seen.size(), world.scene().shapes.size()) << "seed " << seed;
    for (const auto& shape : world.scene().shapes) {
      EXPECT_EQ(seen[shape.cell].color, name_of(shape.color)) << "seed " << seed;
      EXPECT_EQ(seen[shape.cell].form, form_name(shape.form)) << "seed " << seed;
    }
  }
}

TEST(EnvShapesQa, IsAFunctionOfTheSeed) {
  constexpr uint64_t kSeeds = 200;
  const auto play = [](uint64_t first) {  // every instance starts elsewhere in the circle of seeds
    std::vector<Observation> seen(kSeeds);
    ShapesQa world;
    for (uint64_t i = 0; i < kSeeds; ++i) seen[(first + i) % kSeeds] = world.reset((first + i) % kSeeds);
    return seen;
  };
  const auto expected = play(0);
  std::vector<std::vector<Observation>> others(3);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < others.size(); ++i) threads.emplace_back([&, i] { others[i] = play(50 * (i + 1)); });
  for (auto& thread : threads) thread.join();
  for (const auto& other : others)
    for (size_t seed = 0; seed < kSeeds; ++seed) {
      EXPECT_EQ(std::get<std::string>(other[seed].at("question")), std::get<std::string>(expected[seed].at("question")));
      EXPECT_TRUE(at::equal(image_of(other[seed]), image_of(expected[seed])));
    }
}

TEST(EnvShapesQa, EvaluationImagesAreNew) {
  ShapesQa world;
  const auto look = [&](uint64_t seed) {
    const auto image = image_of(world.reset(seed));
    return std::hash<std::string_view>()(
        {reinterpret_cast<const char*>(image.const_data_ptr<uint8_t>()), static_cast<size_t>(image.numel())});
  };
  std::set<size_t> known;
  constexpr size_t kEpisodes = 10000;
  for (uint64_t i = 0; i < kEpisodes; ++i) known.insert(look(train_seed(i)));
  EXPECT_LT(known.size(), kEpisodes) << "some images of training return, so the next line could fail";
  for (uint64_t i = 0; i < 2000; ++i) EXPECT_FALSE(known.contains(look(evaluation_seed(i)))) << i;
}

TEST(EnvShapesQa, QuestionsAreBalanced) {
  constexpr int64_t kEpisodes = 8000;
  std::map<std::string, int64_t> kinds;
  int64_t yes = 0, no = 0, hard = 0;
  for (uint64_t i = 0; i < kEpisodes; ++i) {
    const auto scene = ShapesQa::scene_of(evaluation_seed(i));
    const auto words = words_of(scene.question);
    ++kinds[words[0] == "what" ? words[1] : words[0]];
    yes += scene.answer == "yes" ? 1 : 0;
    if (scene.answer != "no") continue;
    ++no;
    const auto shapes = read(scene);
    hard += std::any_of(shapes.begin(), shapes.end(),
                        [&](const Named& shape) { return shape.color == words[3] || shape.form == words[4]; });
  }
  // Within five standard deviations of a binomial.
  const auto slack = [](double number, double share) { return 5 * std::sqrt(number * share * (1 - share)); };
  ASSERT_EQ(kinds.size(), 4U);
  for (const auto& [kind, count] : kinds)
    EXPECT_NEAR(static_cast<double>(count), kEpisodes / 4.0, slack(kEpisodes, 0.25)) << kind;
  const auto asked = static_cast<double>(yes + no);
  EXPECT_NEAR(static_cast<double>(yes), asked / 2, slack(asked, 0.5));
  EXPECT_GT(static_cast<double>(hard), 0.75 * static_cast<double>(no) - slack(static_cast<double>(no), 0.75));
}

TEST(EnvShapesQa, MajorityAnswerIsRare) {
  constexpr int64_t kEpisodes = 5000;
  const double share = ShapesQa::majority_accuracy(kEpisodes);
  EXPECT_LE(share, 0.4);
  const double random = ShapesQa().reference_scores().random;
  EXPECT_NEAR(share, random, 5 * std::sqrt(random * (1 - random) / kEpisodes));

  std::map<std::string, int64_t> seen, asked;  // counted again through the interface
  ShapesQa world;
  for (uint64_t i = 0; i < 500; ++i) {
    world.reset(train_seed(i));
    ++seen[std::get<std::string>(world.expert().at("answer"))];
    world.reset(evaluation_seed(i));
    ++asked[std::get<std::string>(world.expert().at("answer"))];
  }
  std::string majority;  // of what training shows; evaluation may have another
  for (const auto& [answer, count] : seen)
    if (count > seen[majority]) majority = answer;
  EXPECT_EQ(ShapesQa::majority_accuracy(500), static_cast<double>(asked[majority]) / 500);
  EXPECT_THROW(ShapesQa::majority_accuracy(0), c10::Error);
}

TEST(EnvShapesQa, OnlyTheExactAnswerIsRewarded) {
  ShapesQa world;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    world.reset(seed);
    const std::string right = world.scene().answer;
    for (const auto& answer : {right, right + " ", std::string(), std::string("Yes"), right.substr(0, 1) + "x"}) {
      const auto seen = world.reset(seed);
      const auto result = world.step({{"answer", answer}});
      EXPECT_TRUE(result.done);
      EXPECT_EQ(result.success, answer == right);
      EXPECT_EQ(result.reward, answer == right ? 1.0 : 0.0);
      EXPECT_TRUE(at::equal(image_of(result.observation), image_of(seen)));
    }
  }
}

TEST(EnvShapesQa, BadActionsAreErrorsThatNameTheField) {
  ShapesQa world;
  EXPECT_THROW(world.step({{"answer", "red"}}), c10::Error);  // before the first reset
  EXPECT_THROW(world.expert(), c10::Error);
  EXPECT_THROW(world.picture(), c10::Error);
  const auto message = [&](const Action& action) -> std::string {
    try {
      world.step(action);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  world.reset(5);
  EXPECT_THAT(message({}), HasSubstr("'answer' of the action is missing"));
  EXPECT_THAT(message({{"anwser", "red"}}), HasSubstr("'answer' of the action is missing"));
  EXPECT_THAT(message({{"answer", at::zeros({2}, at::kLong)}}), HasSubstr("'answer' of the action is not text"));
  EXPECT_TRUE(world.step(world.expert()).success) << "a refused action leaves the episode as it was";
  EXPECT_THROW(world.step({{"answer", "red"}}), c10::Error);
}

TEST(EnvShapesQa, PictureIsForPeople) {
  ShapesQa world;
  world.reset(1);
  const auto picture = world.picture();
  EXPECT_EQ(picture.scalar_type(), at::kByte);
  EXPECT_EQ(picture.sizes(), at::IntArrayRef({472, 384, 3}));
  EXPECT_TRUE(at::equal(picture, world.picture()));
  for (const auto& shape : world.scene().shapes) {  // the middle of a shape has its colour
    const auto pixel = picture[shape.cell / 3 * 128 + 64 + shape.shift_y * 8][shape.cell % 3 * 128 + 64 + shape.shift_x * 8];
    EXPECT_EQ(pixel[0].item<uint8_t>(), rgb_of(shape.color).red);
    EXPECT_EQ(pixel[2].item<uint8_t>(), rgb_of(shape.color).blue);
  }
  const auto caption = picture.narrow(0, 384, 88);
  world.reset(2);
  EXPECT_FALSE(at::equal(caption, world.picture().narrow(0, 384, 88))) << "the caption holds question and answer";
}

TEST(ShapesOfShapesQa, ADemonstrationIsOneTimestep) {
  ShapesQa world;
  const auto episode = demonstrate(world, train_seed(0));
  EXPECT_EQ(episode.num_steps, 1);
  EXPECT_EQ(episode.total_return, 1.0);
  EXPECT_TRUE(episode.success);
  ASSERT_EQ(episode.fields.size(), 3U);
  const auto& image = episode.fields[static_cast<size_t>(world.schema().index_of("image"))];
  EXPECT_EQ(image.values.sizes(), at::IntArrayRef({1, 48, 48, 3}));  // 9 patches of 16x16x3
  EXPECT_EQ(image.values.scalar_type(), at::kByte);
  EXPECT_EQ(episode.fields[static_cast<size_t>(world.schema().index_of("question"))].text.size(), 1U);
  EXPECT_EQ(episode.fields[static_cast<size_t>(world.schema().index_of("answer"))].text.size(), 1U);
  EXPECT_EQ(world.schema().field("answer").role, Role::kAnswer);
  EXPECT_EQ(world.max_steps(), 1);
}

}  // namespace
}  // namespace mugato::env
