// Shape legend: B rows, S slots, H heads, D size of a head.
#include "mugato/nn/attention.h"

#include <gtest/gtest.h>

#include "nn/closeness.h"
#include "nn/random_batches.h"
#include "src/nn/packed_attention_cpu.h"

namespace mugato {
namespace {

using testing::expect_close;
using testing::layout_of;
using testing::random_layout;

struct Case {
  const char* name;
  at::ScalarType type;
  std::function<TokenLayout(Random&)> layout;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Attention : public ::testing::TestWithParam<Case> {};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& [type, names] :
       {std::pair{at::kDouble, std::array{"packed_double", "plain_double", "single_tokens_double", "pads_only_double"}},
        std::pair{at::kFloat, std::array{"packed_float", "plain_float", "single_tokens_float", "pads_only_float"}}}) {
    all.push_back(
        {names[0], type, [](Random& random) { return random_layout(random, random.between(1, 4), random.between(1, 40)); }});
    all.push_back({names[1], type, [](Random& random) {
                     const int64_t slots = random.between(1, 40);
                     return layout_of(std::vector<std::vector<int64_t>>(static_cast<size_t>(random.between(1, 4)), {slots}),
                                      slots);
                   }});
    all.push_back({names[2], type, [](Random& random) {
                     return layout_of({std::vector<int64_t>(static_cast<size_t>(random.between(1, 9)), 1), {}, {1}}, 9);
                   }});
    all.push_back({names[3], type, [](Random&) { return layout_of({{}, {}}, 5); }});
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Layouts, Attention, ::testing::ValuesIn(cases()), [](const auto& test) { return test.param.name; });

// The formula once more, per document, head and slot; nothing is masked because nothing else is looked at.
at::Tensor by_hand(const at::Tensor& qkv, const TokenLayout& layout) {
  auto out = at::zeros({qkv.size(0), qkv.size(1), qkv.size(3), qkv.size(4)}, qkv.options());
  const double scale = 1.0 / std::sqrt(static_cast<double>(qkv.size(4)));
  for (const auto& span : layout.documents)
    for (int64_t i = 0; i < span.length; ++i)
      for (int64_t h = 0; h < qkv.size(3); ++h) {
        const auto seen = qkv[span.row].narrow(0, span.begin, i + 1).select(2, h);  // (i+1,3,D)
        const auto scores = at::mv(seen.select(1, 1), seen[i][0]) * scale;
        out[span.row][span.begin + i][h] = at::mv(seen.select(1, 2).t(), at::softmax(scores, 0));
      }
  return out;
}

TEST_P(Attention, EqualsTheFormulaForwardAndBackward) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    at::manual_seed(seed);
    const auto layout = GetParam().layout(random);
    const auto options = at::TensorOptions().dtype(GetParam().type);
    const int64_t heads = random.between(1, 3), size = 4 * random.between(1, 4);
    const auto qkv = at::randn({layout.rows, layout.capacity, 3, heads, size}, options).requires_grad_();
    const auto same = qkv.detach().clone().requires_grad_();
    const auto fast = document_attention(qkv, layout.documents, 0.0);
    const auto plain = document_attention_reference(same, layout.documents);
    expect_close(fast, plain, "output");
    const auto weights = at::randn_like(plain);
    (fast * weights).sum().backward();
    (plain * weights).sum().backward();
    expect_close(qkv.grad(), same.grad(), "gradient");
    if (seed < 3) expect_close(plain, by_hand(qkv.detach(), layout), "reference");
  }
}

// The kernel that training on a CPU uses, for each instruction set of this machine and each size of a head that it takes.
struct KernelCase {
  InstructionSet set;
  int64_t size;
};

std::string name_of(const KernelCase& c) {
  static constexpr std::array kNames{"plain", "avx2", "avx512"};
  return std::string(kNames[static_cast<size_t>(c.set)]) + "_heads_of_" + std::to_string(c.size);
}

void PrintTo(const KernelCase& c, std::ostream* out) { *out << name_of(c); }

std::vector<KernelCase> kernel_cases() {
  std::vector<KernelCase> all;
  for (const auto set : {InstructionSet::kPlain, InstructionSet::kAvx2, InstructionSet::kAvx512})
    for (const int64_t size : {16, 32, 64, 128})
      if (machine_has(set)) all.push_back({set, size});
  return all;
}

// Documents of one token, of whole vectors of keys and one more or less, and of hundreds of tokens; full rows, an empty one,
// and rows with pads behind.
TokenLayout long_and_short() {
  return layout_of({{300, 1, 17}, {2, 64, 63, 129}, {130, 200}, {}, {16, 15, 5, 4, 3, 31, 33}}, 330);
}

at::Tensor of_documents(const TokenLayout& layout) { return layout.document >= 0; }  // (B,S)

// Rows (B,S,...) whose pads hold what no result can survive.
at::Tensor poison_pads(const at::Tensor& x, const TokenLayout& layout) {
  auto poisoned = x.clone();
  poisoned.index_put_({of_documents(layout).logical_not()}, at::full({}, std::nan(""), x.options()));
  return poisoned;
}

class PackedKernel : public ::testing::TestWithParam<KernelCase> {
 protected:
  // Components of queries with a standard deviation of `sharpness`; that of the scores is the same.
  void expect_formula(double sharpness) {
    at::manual_seed(4);
    const auto layout = long_and_short();
    const int64_t heads = 3, size = GetParam().size;
    auto qkv = at::randn({layout.rows, layout.capacity, 3, heads, size});
    qkv.select(2, 0).mul_(sharpness);
    const auto grad_out = at::randn({layout.rows, layout.capacity, heads, size});

    auto exact = qkv.to(at::kDouble).requires_grad_();
    const auto expected = document_attention_reference(exact, layout.documents);
    expected.backward(grad_out.to(at::kDouble));

    const auto rows = poison_pads(qkv, layout), grad_rows = poison_pads(grad_out, layout);
    auto out = at::zeros_like(grad_out), logsumexp = at::empty({layout.rows, layout.capacity, heads}),
         grad = at::zeros_like(qkv);
    packed_attention_forward(rows, layout.documents, out, logsumexp, GetParam().set);
    packed_attention_backward(grad_rows, rows, out, logsumexp, layout.documents, grad, GetParam().set);

    // A score is rounded in proportion to its size, and its error is that of the probability's logarithm.
    const double factor = 64.0 * std::max(1.0, sharpness);
    expect_close(out, expected, "output", factor);
    // A score's gradient is a difference of two sums of D products; where they cancel, their rounding is what stays.
    const double of_gradient = 32.0 * std::sqrt(static_cast<double>(size)) * std::max(1.0, sharpness);
    for (const int64_t part : {0, 1, 2})
      expect_close(grad.select(2, part), exact.grad().select(2, part), "gradient of part " + std::to_string(part), of_gradient);
    const auto pads = of_documents(layout).logical_not();
    EXPECT_EQ(out.index({pads}).count_nonzero().item<int64_t>(), 0);
    EXPECT_EQ(grad.index({pads}).count_nonzero().item<int64_t>(), 0);
  }
};
INSTANTIATE_TEST_SUITE_P(Machine, PackedKernel, ::testing::ValuesIn(kernel_cases()),
                         [](const auto& test) { return name_of(test.param); });

TEST_P(PackedKernel, EqualsTheFormulaForwardAndBackward) { expect_formula(1.0); }

// Scores hundreds apart: all but one probability underflow.
TEST_P(PackedKernel, EqualsTheFormulaWhereAttentionIsSharp) { expect_formula(100.0); }

TEST(PackedKernelChoice, IsTheOneThatAttentionCallsAndTheFastestByDefault) {
  at::manual_seed(5);
  const auto layout = long_and_short();
  for (const int64_t size : {16, 32, 64, 128}) {
    const auto qkv = at::randn({layout.rows, layout.capacity, 3, 2, size}).requires_grad_();
    const auto out = document_attention(qkv, layout.documents, 0.0);
    const auto grad_out = at::randn({layout.rows, 2, layout.capacity, size}).transpose(1, 2);  // of other strides
    out.backward(grad_out);
    auto same = at::zeros_like(out.detach()), logsumexp = at::empty({layout.rows, layout.capacity, 2});
    auto grad = at::zeros_like(qkv.detach());
    packed_attention_forward(qkv.detach(), layout.documents, same, logsumexp, kernel_cases().back().set);
    packed_attention_backward(grad_out.contiguous(), qkv.detach(), same, logsumexp, layout.documents, grad,
                              kernel_cases().back().set);
    EXPECT_TRUE(at::equal(out, same)) << size;
    EXPECT_TRUE(at::equal(qkv.grad(), grad)) << size;
  }
}

TEST(AttentionGradients, AreThoseOfFiniteDifferences) {
  for (const auto& c : cases()) {
    if (c.type != at::kDouble) continue;  // differences of floats say nothing
    SCOPED_TRACE(c.name);
    Random random(7);
    at::manual_seed(7);
    const auto layout = c.layout(random);
    const auto qkv = at::randn({layout.rows, layout.capacity, 3, 2, 4}, at::kDouble).requires_grad_();
    const auto weights = at::randn({layout.rows, layout.capacity, 2, 4}, at::kDouble);
    const auto value = [&](const at::Tensor& x) { return (document_attention(x, layout.documents, 0.0) * weights).sum(); };
    value(qkv).backward();
    for (int64_t i = 0; i < 5; ++i) {
      const auto direction = at::randn_like(qkv).detach();
      const double step = 1e-5, slope = (qkv.grad() * direction).sum().item<double>();
      const at::NoGradGuard no_grad;
      const double difference = (value(qkv + step * direction) - value(qkv - step * direction)).item<double>() / (2 * step);
      EXPECT_NEAR(slope, difference, 1e-7 * qkv.grad().norm().item<double>() * direction.norm().item<double>());
    }
  }
}

// A pad gives zeros, and neither its query nor its key nor its value reaches anything.
TEST(AttentionOfPads, IsZeroAndUnseen) {
  at::manual_seed(1);
  const auto layout = layout_of({{3, 2}, {1}}, 8);
  const auto qkv = at::randn({2, 8, 3, 2, 4});
  auto other = qkv.clone();
  other[0].narrow(0, 5, 3).fill_(1e30);
  other[1].narrow(0, 1, 7).fill_(std::nan(""));
  const auto out = document_attention(qkv, layout.documents, 0.0), changed = document_attention(other, layout.documents, 0.0);
  EXPECT_TRUE(at::equal(out, changed));
  EXPECT_EQ(out[0].narrow(0, 5, 3).count_nonzero().item<int64_t>(), 0);
  EXPECT_EQ(out[1].narrow(0, 1, 7).count_nonzero().item<int64_t>(), 0);
}

// Dropout of attention's weights keeps their expectation, on the path of plain rows and on that of packed ones.
TEST(AttentionDropout, KeepsTheExpectation) {
  at::manual_seed(2);
  constexpr int64_t kDraws = 4000;  // the same row, drawn that often
  for (const std::vector<int64_t>& row : {std::vector<int64_t>{6}, {2, 3}}) {
    const auto layout = layout_of(std::vector<std::vector<int64_t>>(kDraws, row), 6);
    auto qkv = at::randn({1, 6, 3, 1, 4}, at::kDouble);
    qkv.select(2, 2).fill_(1.0);  // values of one: without dropout, one comes out
    qkv = qkv.expand({kDraws, 6, 3, 1, 4});
    const auto expected = document_attention(qkv, layout.documents, 0.0);
    const auto drawn = document_attention(qkv, layout.documents, 0.25);
    EXPECT_FALSE(at::equal(drawn, expected));
    // The variance of a sum of weights that are kept with probability 3/4 is at most 1/3.
    const double bound = 5.0 * std::sqrt(1.0 / 3.0 / static_cast<double>(kDraws));
    EXPECT_LT((drawn - expected).mean(0).abs().max().item<double>(), bound);
  }
}

}  // namespace
}  // namespace mugato
