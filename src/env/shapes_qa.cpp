#include "mugato/env/shapes_qa.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "read_action.h"

namespace mugato::env {
namespace {

constexpr uint64_t kStream = 0x736861706573;  // keeps this world's draws apart from another's with the same seed
constexpr int64_t kNumColors = 6, kNumForms = 3;
constexpr uint8_t kBackground = 20;

using Scene = ShapesQa::Scene;
using Shape = ShapesQa::Shape;
using Form = ShapesQa::Form;

const char* name_of(Form form) {
  constexpr std::array<const char*, 3> kNames{"circle", "square", "triangle"};
  return kNames[static_cast<size_t>(form)];
}

Color draw_color(Random& random) { return static_cast<Color>(random.below(kNumColors)); }
Form draw_form(Random& random) { return static_cast<Form>(random.below(kNumForms)); }

// Any but the given one.
Color draw_other(Random& random, Color color) {
  return static_cast<Color>((static_cast<int64_t>(color) + random.between(1, kNumColors - 1)) % kNumColors);
}
Form draw_other(Random& random, Form form) {
  return static_cast<Form>((static_cast<int64_t>(form) + random.between(1, kNumForms - 1)) % kNumForms);
}

std::vector<Shape> draw_shapes(Random& random) {
  std::array<int64_t, ShapesQa::kCells * ShapesQa::kCells> cells{};
  for (size_t i = 0; i < cells.size(); ++i) cells[i] = static_cast<int64_t>(i);
  random.shuffle<int64_t>(cells);
  std::vector<Shape> shapes(static_cast<size_t>(random.between(1, ShapesQa::kMaxShapes)));
  for (size_t i = 0; i < shapes.size(); ++i) {
    auto& shape = shapes[i];
    shape.cell = cells[i];
    shape.form = draw_form(random);
    shape.color = draw_color(random);
    shape.shift_x = random.between(-1, 1);
    shape.shift_y = random.between(-1, 1);
    shape.radius = random.between(5, 6);
  }
  return shapes;
}

const Shape& pick(Random& random, const std::vector<Shape>& shapes) {
  return shapes[static_cast<size_t>(random.below(static_cast<int64_t>(shapes.size())))];
}

template <class Test>
int64_t count(const Scene& scene, Test test) {
  return std::count_if(scene.shapes.begin(), scene.shapes.end(), test);
}

// The two questions for a property of one thing draw scenes until one can be asked.
void ask_color(Random& random, Scene& scene) {
  for (;; scene.shapes = draw_shapes(random)) {
    const Form form = draw_form(random);
    const auto is_asked = [form](const Shape& shape) { return shape.form == form; };
    if (count(scene, is_asked) != 1) continue;
    scene.question = std::string("what color is the ") + name_of(form) + "?";
    scene.answer = env::name_of(std::find_if(scene.shapes.begin(), scene.shapes.end(), is_asked)->color);
    return;
  }
}

void ask_form(Random& random, Scene& scene) {
  for (;; scene.shapes = draw_shapes(random)) {
    const Color color = pick(random, scene.shapes).color;
    const auto is_asked = [color](const Shape& shape) { return shape.color == color; };
    if (count(scene, is_asked) != 1) continue;
    scene.question = std::string("what shape is the ") + env::name_of(color) + " one?";
    scene.answer = name_of(std::find_if(scene.shapes.begin(), scene.shapes.end(), is_asked)->form);
    return;
  }
}

// The number of shapes of the asked form is uniform in [0, number of shapes], or few answers would be more than 1.
void ask_count(Random& random, Scene& scene) {
  if (random.chance(0.5)) {
    scene.question = "how many shapes are there?";
    scene.answer = std::to_string(scene.shapes.size());
    return;
  }
  const Form form = draw_form(random);
  const auto wanted = static_cast<size_t>(random.between(0, static_cast<int64_t>(scene.shapes.size())));
  for (size_t i = 0; i < scene.shapes.size(); ++i) scene.shapes[i].form = i < wanted ? form : draw_other(random, form);
  scene.question = std::string("how many ") + name_of(form) + "s are there?";
  scene.answer = std::to_string(wanted);
}

void ask_whether(Random& random, Scene& scene) {
  const bool answer = random.chance(0.5);
  const Shape& near = pick(random, scene.shapes);
  Color color = near.color;
  Form form = near.form;
  const auto is_asked = [&](const Shape& shape) { return shape.form == form && shape.color == color; };
  while (!answer && count(scene, is_asked) > 0) {
    const int64_t difference = random.below(8);  // three in eight each: the form, the colour; one in four: both
    form = difference < 3 || difference > 5 ? draw_other(random, near.form) : near.form;
    color = difference >= 3 ? draw_other(random, near.color) : near.color;
  }
  const std::string article = color == Color::kOrange ? "an " : "a ";
  scene.question = "is there " + article + env::name_of(color) + " " + name_of(form) + "?";
  scene.answer = answer ? "yes" : "no";
}

Scene draw_scene(Random& random) {
  Scene scene;
  const int64_t kind = random.below(4);
  scene.shapes = draw_shapes(random);
  if (kind == 0) ask_color(random, scene);
  if (kind == 1) ask_form(random, scene);
  if (kind == 2) ask_count(random, scene);
  if (kind == 3) ask_whether(random, scene);
  return scene;
}

// One image in eight belongs to the evaluation: there are few images of one shape, and new seeds alone would show the old
// ones again. The sum makes the order of the shapes irrelevant, as it is for the image.
bool is_held_out(const Scene& scene) {
  uint64_t sum = 0;
  for (const auto& shape : scene.shapes)
    sum += hash_key(static_cast<uint64_t>(shape.cell), shape.form, shape.color, shape.shift_x, shape.shift_y, shape.radius);
  return mix_bits(sum) % 8 == 0;
}

// Whether a point, relative to the centre, lies in the form.
bool covers(Form form, double radius, double x, double y) {
  switch (form) {
    case Form::kCircle:
      return x * x + y * y <= radius * radius;
    case Form::kSquare:
      return std::max(std::abs(x), std::abs(y)) <= radius - 1;
    case Form::kTriangle:
      return std::abs(y) <= radius && 2 * std::abs(x) <= y + radius;
  }
  return false;
}

void draw(const Shape& shape, uint8_t* image) {
  const Rgb color = rgb_of(shape.color);
  const int64_t center_x = (2 * (shape.cell % ShapesQa::kCells) + 1) * ShapesQa::kCellPixels / 2 + shape.shift_x;
  const int64_t center_y = (2 * (shape.cell / ShapesQa::kCells) + 1) * ShapesQa::kCellPixels / 2 + shape.shift_y;
  const auto radius = static_cast<double>(shape.radius);
  for (int64_t y = -shape.radius; y < shape.radius; ++y)
    for (int64_t x = -shape.radius; x < shape.radius; ++x) {
      if (!covers(shape.form, radius, static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5)) continue;
      uint8_t* pixel = image + ((center_y + y) * ShapesQa::kImagePixels + center_x + x) * 3;
      pixel[0] = color.red;
      pixel[1] = color.green;
      pixel[2] = color.blue;
    }
}

}  // namespace

ShapesQa::ShapesQa()
    : schema_{{{.name = "image", .modality = Modality::kImage, .shape = {kImagePixels, kImagePixels, 3}},
               {.name = "question"},
               {.name = "answer", .role = Role::kAnswer}}} {}

ShapesQa::Scene ShapesQa::scene_of(uint64_t seed) {
  Random random(hash_key(seed, kStream));
  const bool evaluation = seed == evaluation_seed(seed);
  for (;;)
    if (auto scene = draw_scene(random); is_held_out(scene) == evaluation) return scene;
}

Observation ShapesQa::reset(uint64_t seed) {
  scene_ = scene_of(seed);
  done_ = false;
  return observe();
}

Observation ShapesQa::observe() const {
  auto image = at::empty({kImagePixels, kImagePixels, 3}, at::kByte);
  auto* pixels = image.mutable_data_ptr<uint8_t>();
  std::memset(pixels, kBackground, static_cast<size_t>(image.numel()));
  for (const auto& shape : scene_.shapes) draw(shape, pixels);
  Observation observation;
  observation.emplace("image", std::move(image));
  observation.emplace("question", scene_.question);
  return observation;
}

StepResult ShapesQa::step(const Action& action) {
  TORCH_CHECK(!done_, "shapes_qa: step() outside of an episode");
  const bool right = read_text(action, schema_.fields[2], "shapes_qa") == scene_.answer;
  done_ = true;
  return {.observation = observe(), .reward = right ? 1.0 : 0.0, .done = true, .success = right};
}

Action ShapesQa::expert() {
  TORCH_CHECK(!done_, "shapes_qa: expert() outside of an episode");
  return {{"answer", scene_.answer}};
}

double ShapesQa::majority_accuracy(int64_t num_episodes) {
  TORCH_CHECK(num_episodes > 0, "shapes_qa: no episodes to count");
  const auto count_answers = [num_episodes](uint64_t (*seed_of)(uint64_t)) {
    std::map<std::string, int64_t> counts;
    for (int64_t i = 0; i < num_episodes; ++i) ++counts[scene_of(seed_of(static_cast<uint64_t>(i))).answer];
    return counts;
  };
  const auto seen = count_answers(train_seed);
  const auto fewer = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto& answer = std::max_element(seen.begin(), seen.end(), fewer)->first;
  return static_cast<double>(count_answers(evaluation_seed)[answer]) / static_cast<double>(num_episodes);
}

// Measured by majority_accuracy(20000); the test EnvShapesQa.MajorityAnswerIsRare measures again.
ReferenceScores ShapesQa::reference_scores() const { return {.random = 0.131, .expert = 1.0}; }

}  // namespace mugato::env
