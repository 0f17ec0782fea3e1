// Questions about a drawn scene, answered in one word: the smallest world with an image, a question and a text answer.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "mugato/env/color.h"
#include "mugato/env/environment.h"

namespace mugato::env {

// Fields: `image` (48,48,3) uint8, `question` text, and the answer `answer` text: "red", "square", "2", "yes". An episode is
// one step: reward 1 and success when the answer is exactly right.
//
// The image is 3x3 cells of 16x16 pixels, a patch each; one to four shapes lie in distinct cells, shifted by a pixel at most
// and of two sizes. A quarter of the questions each ask for a colour ("what color is the circle?", when there is one
// circle), a shape ("what shape is the red one?", when there is one red thing), a number ("how many shapes are there?",
// "how many circles are there?") and a yes or no ("is there a red circle?"). Half of the last are yes; at least three in four
// of the no's have the colour or the shape in the scene. From the question's words alone, a third of the answers can be
// guessed. No image of an evaluation seed is one of a training seed.
class ShapesQa final : public Environment {
 public:
  static constexpr int64_t kCells = 3;  // a side
  static constexpr int64_t kCellPixels = 16;
  static constexpr int64_t kImagePixels = kCells * kCellPixels;
  static constexpr int64_t kMaxShapes = 4;

  enum class Form : uint8_t { kCircle, kSquare, kTriangle };

  struct Shape {
    int64_t cell = 0;  // row * kCells + column
    Form form = Form::kCircle;
    Color color = Color::kRed;
    int64_t shift_x = 0, shift_y = 0;  // of the centre against the cell's, pixels, in [-1, 1]
    int64_t radius = 5;                // pixels, in [5, 6]
  };
  struct Scene {
    std::vector<Shape> shapes;
    std::string question, answer;
  };

  ShapesQa();
  const Schema& schema() const override { return schema_; }
  Observation reset(uint64_t seed) override;
  StepResult step(const Action& action) override;
  Action expert() override;
  int64_t max_steps() const override { return 1; }

  // random: the accuracy of the most frequent answer, for text answers are not drawn at random. expert: 1.
  ReferenceScores reference_scores() const override;

  at::Tensor picture() const override;  // (472,384,3) uint8

  // What reset(seed) shows and asks.
  static Scene scene_of(uint64_t seed);
  const Scene& scene() const { return scene_; }

  // How often the most frequent answer of the first `num_episodes` (> 0) training seeds is right on as many evaluation seeds.
  static double majority_accuracy(int64_t num_episodes);

 private:
  Observation observe() const;

  Schema schema_;
  Scene scene_;
  bool done_ = true;  // until the first reset
};

}  // namespace mugato::env
