#include "mugato/optim/adamw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mugato/core/error.h"

namespace mugato {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// A matrix, a table of one row, a bias, a scalar, and one that does not learn.
struct Model : torch::nn::Module {
  explicit Model(at::ScalarType type) {
    at::manual_seed(1);
    const auto options = at::TensorOptions().dtype(type);
    register_parameter("bias", at::randn({5}, options));
    register_parameter("matrix", at::randn({3, 5}, options));
    register_parameter("scalar", at::randn({}, options));
    register_parameter("table", at::randn({1, 4}, options));
    register_parameter("frozen", at::randn({2, 2}, options), /*requires_grad=*/false);
  }
};

void set_gradients(torch::nn::Module& module, double scale = 1.0) {
  for (auto& parameter : module.parameters())
    if (parameter.requires_grad()) parameter.mutable_grad() = at::randn_like(parameter).detach() * scale;
}

// The update as the paper of AdamW writes it (Loshchilov and Hutter 2019, algorithm 2), one number at a time.
struct Textbook {
  double value = 0, mean = 0, square = 0;
  int64_t steps = 0;
  void update(double gradient, double learning_rate, double decay, const OptimizerOptions& o) {
    ++steps;
    mean = o.beta1 * mean + (1 - o.beta1) * gradient;
    square = o.beta2 * square + (1 - o.beta2) * gradient * gradient;
    const double mean_hat = mean / (1 - std::pow(o.beta1, static_cast<double>(steps)));
    const double square_hat = square / (1 - std::pow(o.beta2, static_cast<double>(steps)));
    value -= learning_rate * (mean_hat / (std::sqrt(square_hat) + o.epsilon) + decay * value);
  }
};

class AdamWOf : public ::testing::TestWithParam<at::ScalarType> {};
INSTANTIATE_TEST_SUITE_P(Types, AdamWOf, ::testing::Values(at::kDouble, at::kFloat));

// Many steps, of which each parameter misses some; matrices and tables decay, vectors and scalars do not.
TEST_P(AdamWOf, FollowsTheTextbook) {
  const OptimizerOptions options{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-8, .weight_decay = 0.3};
  Model model(GetParam());
  AdamW optimizer(model, options);
  std::map<std::string, std::vector<Textbook>> expected;
  for (const auto& item : model.named_parameters()) {
    const auto flat = item.value().detach().flatten().to(at::kDouble);
    for (int64_t i = 0; i < flat.numel(); ++i) expected[item.key()].push_back({flat[i].item<double>()});
  }
  for (int64_t step = 0; step < 200; ++step) {
    const double rate = 0.02 / (1.0 + 0.1 * static_cast<double>(step));
    set_gradients(model);
    int64_t number = 0;
    for (auto& item : model.named_parameters()) {
      if ((step + number++) % 7 == 3) item.value().mutable_grad() = at::Tensor();
      const auto& gradient = item.value().grad();
      if (!gradient.defined()) continue;
      const auto flat = gradient.flatten().to(at::kDouble);
      const double decay = item.value().dim() >= 2 ? options.weight_decay : 0.0;
      for (int64_t i = 0; i < flat.numel(); ++i)
        expected[item.key()][static_cast<size_t>(i)].update(flat[i].item<double>(), rate, decay, options);
    }
    optimizer.step(rate);
  }
  // Values are of size one and every step rounds once; errors of steps that contract do not add up beyond a few.
  const double bound = GetParam() == at::kDouble ? 1e-12 : 200 * 1.2e-7;
  for (const auto& item : model.named_parameters()) {
    const auto flat = item.value().detach().flatten();
    for (int64_t i = 0; i < flat.numel(); ++i)
      EXPECT_NEAR(flat[i].item<double>(), expected[item.key()][static_cast<size_t>(i)].value, bound) << item.key() << " " << i;
  }
}

TEST(AdamW, LeavesParametersWithoutGradientAsTheyAre) {
  Model model(at::kFloat);
  AdamW optimizer(model, {});
  set_gradients(model);
  auto parameters = model.named_parameters();
  parameters["matrix"].mutable_grad() = at::Tensor();
  std::map<std::string, at::Tensor> before;
  for (const auto& item : parameters) before[item.key()] = item.value().detach().clone();
  optimizer.step(0.1);
  for (const auto& item : parameters) {
    const bool stays = item.key() == "matrix" || item.key() == "frozen";
    EXPECT_EQ(at::equal(item.value(), before[item.key()]), stays) << item.key();
  }
  const auto state = optimizer.state();
  EXPECT_EQ(state.at("matrix.step").item<double>(), 0.0);
  EXPECT_EQ(state.at("matrix.exp_avg").count_nonzero().item<int64_t>(), 0);
  EXPECT_EQ(state.at("bias.step").item<double>(), 1.0);
  EXPECT_FALSE(state.contains("frozen.step"));
}

TEST(AdamW, ZeroGradForgetsGradients) {
  Model model(at::kFloat);
  AdamW optimizer(model, {});
  set_gradients(model);
  optimizer.zero_grad();
  for (const auto& parameter : model.parameters()) EXPECT_FALSE(parameter.grad().defined());
  EXPECT_EQ(optimizer.clip_gradients(), 0.0);
}

double norm_of_gradients(const torch::nn::Module& module) {
  double sum = 0.0;
  for (const auto& parameter : module.parameters())
    if (parameter.grad().defined()) sum += parameter.grad().to(at::kDouble).square().sum().item<double>();
  return std::sqrt(sum);
}

TEST(ClipGradients, ScalesTheNormOfAllOfThemTogether) {
  for (const double scale : {0.01, 1.0, 100.0})
    for (const double clip : {0.0, 0.5, 2.0}) {
      SCOPED_TRACE(testing::Message() << scale << " " << clip);
      Model model(at::kDouble);
      AdamW optimizer(model, {.clip = clip});
      set_gradients(model, scale);
      const auto direction = model.named_parameters()["matrix"].grad().clone();
      const double norm = norm_of_gradients(model);
      EXPECT_NEAR(optimizer.clip_gradients(), norm, 1e-12 * norm) << "the norm before";
      const double factor = clip > 0.0 && norm > clip ? clip / norm : 1.0;
      EXPECT_NEAR(norm_of_gradients(model), factor * norm, 1e-12 * norm);
      EXPECT_TRUE(at::allclose(model.named_parameters()["matrix"].grad(), direction * factor, 1e-12, 0.0));
    }
}

TEST(AdamW, ContinuesExactlyFromItsState) {
  const auto train = [](Model& model, AdamW& optimizer, int64_t from, int64_t to) {
    for (int64_t step = from; step < to; ++step) {
      at::manual_seed(static_cast<uint64_t>(step));
      set_gradients(model);
      optimizer.step(0.01);
    }
  };
  Model straight(at::kFloat), stopped(at::kFloat), resumed(at::kFloat);
  AdamW first(straight, {}), second(stopped, {}), third(resumed, {});
  train(straight, first, 0, 20);
  train(stopped, second, 0, 9);
  std::map<std::string, at::Tensor> saved;
  for (const auto& [name, tensor] : second.state()) saved[name] = tensor.clone();
  {
    const at::NoGradGuard no_grad;
    for (auto& item : resumed.named_parameters()) item.value().copy_(stopped.named_parameters()[item.key()]);
  }
  third.load_state(saved);
  train(resumed, third, 9, 20);
  for (const auto& item : straight.named_parameters())
    EXPECT_TRUE(at::equal(item.value(), resumed.named_parameters()[item.key()])) << item.key();
}

TEST(AdamW, RefusesAStateOfAnotherModel) {
  Model model(at::kFloat);
  AdamW optimizer(model, {});
  const auto whole = optimizer.state();
  EXPECT_EQ(whole.size(), 12);
  auto missing = whole;
  missing.erase("bias.exp_avg");
  EXPECT_THAT([&] { optimizer.load_state(missing); },
              ThrowsMessage<Error>(AllOf(HasSubstr("'bias.exp_avg' is missing"), HasSubstr("hint: "))));
  auto other = whole;
  other["matrix.exp_avg_sq"] = at::zeros({5, 3});
  EXPECT_THAT([&] { optimizer.load_state(other); }, ThrowsMessage<Error>(HasSubstr("'matrix.exp_avg_sq' is of another shape")));
  other = whole;
  other["extra.step"] = at::zeros({});
  EXPECT_THAT([&] { optimizer.load_state(other); }, ThrowsMessage<Error>(HasSubstr("'extra.step'")));
}

// A state that is refused changes nothing: half of one would be neither the old run nor the new one.
TEST(AdamW, ARefusedStateChangesNothing) {
  Model model(at::kFloat);
  AdamW optimizer(model, {});
  std::map<std::string, at::Tensor> ones;
  for (const auto& [name, tensor] : optimizer.state()) ones[name] = at::ones_like(tensor);
  ones.erase("table.step");
  EXPECT_THROW(optimizer.load_state(ones), Error);
  for (const auto& [name, tensor] : optimizer.state()) EXPECT_EQ(tensor.count_nonzero().item<int64_t>(), 0) << name;
}

}  // namespace
}  // namespace mugato
