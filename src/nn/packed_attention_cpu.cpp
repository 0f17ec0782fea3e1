#include "packed_attention_cpu.h"

#include <ATen/Parallel.h>

#include <cstring>

// How it works: scores of four queries at a time against sixteen keys at a time, the keys transposed once per document so that
// one vector holds one component of sixteen keys; probabilities of four queries times values with all sums in registers. The
// same source is compiled for each instruction set, and the fastest is picked when the program runs.
namespace mugato {
namespace {

// Vectors are passed between functions that are always inlined, so no calling convention is involved.
#pragma GCC diagnostic ignored "-Wpsabi"
#define MUGATO_INLINE __attribute__((always_inline)) inline

constexpr int64_t kLanes = 16;
constexpr int64_t kQueries = 4;
typedef float Vec __attribute__((vector_size(64)));
typedef int32_t IntVec __attribute__((vector_size(64)));

constexpr int64_t round_up(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// e^x for x <= 0, relative error below 3e-7; anything below -87 gives about 1e-38.
MUGATO_INLINE void exp_in_place(Vec& x) {
  const Vec lowest = Vec{} - 87.0F;
  x = x < lowest ? lowest : x;
  const Vec t = x * 1.44269504F;
  const IntVec k = __builtin_convertvector(t - 0.5F, IntVec);  // t <= 0: truncation rounds to nearest
  const Vec whole = __builtin_convertvector(k, Vec);
  const Vec f = (x - whole * 0.693359375F) - whole * -2.12194440e-4F;
  Vec p = Vec{} + 1.9875691500e-4F;
  p = p * f + 1.3981999507e-3F;
  p = p * f + 8.3334519073e-3F;
  p = p * f + 4.1665795894e-2F;
  p = p * f + 1.6666665459e-1F;
  p = p * f + 5.0000001201e-1F;
  p = p * f * f + f + 1.0F;
  IntVec scale = (k + 127) << 23;
  Vec power;
  std::memcpy(&power, &scale, sizeof power);
  x = p * power;
}

MUGATO_INLINE float sum_of(const Vec& x) {
  float sum = 0.0F;
  for (int i = 0; i < kLanes; ++i) sum += x[i];
  return sum;
}

// One head of one document within (B,S,3,H,D) or (B,S,H,D): rows `stride` floats apart.
struct Rows {
  const float* data;
  int64_t stride;
  MUGATO_INLINE const float* operator[](int64_t i) const { return data + i * stride; }
};
struct MutableRows {
  float* data;
  int64_t stride;
  MUGATO_INLINE float* operator[](int64_t i) const { return data + i * stride; }
};

MUGATO_INLINE Vec load(const float* from) {
  Vec x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
MUGATO_INLINE void store(float* to, const Vec& x) { std::memcpy(to, &x, sizeof x); }

// (n,D) rows to (D, round_up(n)), zeros behind.
template <int kSize>
MUGATO_INLINE void transpose(Rows rows, int64_t n, float* out) {
  const int64_t padded = round_up(n);
  for (int64_t j = 0; j < padded; ++j)
    for (int64_t c = 0; c < kSize; ++c) out[c * padded + j] = j < n ? rows[j][c] : 0.0F;
}

// products[r][j] = sum_c rows[r][c] transposed[c][j] for j in [0, end), end a multiple of 16.
template <int kSize>
MUGATO_INLINE void multiply(const float* const (&rows)[kQueries], const float* transposed, int64_t padded, int64_t end,
                            float* products) {
  for (int64_t j = 0; j < end; j += kLanes) {
    Vec sum[kQueries] = {};
    for (int64_t c = 0; c < kSize; ++c) {
      const Vec column = load(transposed + c * padded + j);
      for (int64_t r = 0; r < kQueries; ++r) sum[r] += column * rows[r][c];
    }
    for (int64_t r = 0; r < kQueries; ++r) store(products + r * padded + j, sum[r]);
  }
}

// out[r] = sum over j < count of weights[r][j] * rows[j]
template <int kSize>
MUGATO_INLINE void combine(const float* weights, int64_t padded, Rows rows, int64_t count,
                           Vec (&out)[kQueries][kSize / kLanes]) {
  for (auto& row : out)
    for (auto& part : row) part = Vec{};
  for (int64_t j = 0; j < count; ++j)
    for (int64_t v = 0; v < kSize / kLanes; ++v) {
      const Vec part = load(rows[j] + v * kLanes);
      for (int64_t r = 0; r < kQueries; ++r) out[r][v] += part * weights[r * padded + j];
    }
}

// Four rows from i on; beyond the document the last one again, whose results are not used.
MUGATO_INLINE void pick_rows(Rows rows, int64_t i, int64_t n, const float* (&picked)[kQueries]) {
  for (int64_t r = 0; r < kQueries; ++r) picked[r] = rows[std::min(i + r, n - 1)];
}

// Scores to unnormalised probabilities in place, zero after the query itself; returns their sum and sets the maximum.
MUGATO_INLINE float softmax_row(float* row, int64_t limit, int64_t end, float scale, float& maximum) {
  for (int64_t j = limit; j < end; ++j) row[j] = -INFINITY;
  Vec highest = load(row);
  for (int64_t j = kLanes; j < end; j += kLanes) {
    const Vec x = load(row + j);
    highest = x > highest ? x : highest;
  }
  maximum = highest[0];
  for (int l = 1; l < kLanes; ++l) maximum = std::max(maximum, highest[l]);
  Vec sum = {};
  for (int64_t j = 0; j < end; j += kLanes) {
    Vec x = (load(row + j) - maximum) * scale;
    exp_in_place(x);
    store(row + j, x);
  }
  for (int64_t j = limit; j < end; ++j) row[j] = 0.0F;
  for (int64_t j = 0; j < end; j += kLanes) sum += load(row + j);
  return sum_of(sum);
}

template <int kSize>
MUGATO_INLINE void forward_head(Rows q, Rows k, Rows v, int64_t n, MutableRows out, float* logsumexp, int64_t logsumexp_stride,
                                std::vector<float>& scratch) {
  const int64_t padded = round_up(n);
  scratch.resize(static_cast<size_t>((kSize + kQueries) * padded));
  float *keys = scratch.data(), *scores = keys + kSize * padded;
  transpose<kSize>(k, n, keys);
  const float scale = 1.0F / std::sqrt(static_cast<float>(kSize));
  for (int64_t i = 0; i < n; i += kQueries) {
    const int64_t queries = std::min(kQueries, n - i), end = round_up(i + queries);
    const float* rows[kQueries];
    pick_rows(q, i, n, rows);
    multiply<kSize>(rows, keys, padded, end, scores);
    float inverse[kQueries] = {};
    for (int64_t r = 0; r < queries; ++r) {
      float maximum;
      const float sum = softmax_row(scores + r * padded, i + r + 1, end, scale, maximum);
      logsumexp[(i + r) * logsumexp_stride] = maximum * scale + std::log(sum);
      inverse[r] = 1.0F / sum;
    }
    Vec sums[kQueries][kSize / kLanes];
    combine<kSize>(scores, padded, v, i + queries, sums);
    for (int64_t r = 0; r < queries; ++r)
      for (int64_t part = 0; part < kSize / kLanes; ++part) store(out[i + r] + part * kLanes, sums[r][part] * inverse[r]);
  }
}

// to[j] += sum over r of weights[r][j] * rows[r]
template <int kSize>
MUGATO_INLINE void scatter(const float* weights, int64_t padded, const float* const (&rows)[kQueries], int64_t count,
                           float* to) {
  Vec held[kQueries][kSize / kLanes];
  for (int64_t r = 0; r < kQueries; ++r)
    for (int64_t v = 0; v < kSize / kLanes; ++v) held[r][v] = load(rows[r] + v * kLanes);
  for (int64_t j = 0; j < count; ++j)
    for (int64_t v = 0; v < kSize / kLanes; ++v) {
      Vec sum = load(to + j * kSize + v * kLanes);
      for (int64_t r = 0; r < kQueries; ++r) sum += held[r][v] * weights[r * padded + j];
      store(to + j * kSize + v * kLanes, sum);
    }
}

// Turns scores (in `p`) and dO V^T (in `ds`) into probabilities and the gradient of the scores.
MUGATO_INLINE void gradient_row(float* p, float* ds, int64_t limit, int64_t end, float scale, float logsumexp, float delta) {
  for (int64_t j = 0; j < end; j += kLanes) {
    Vec x = load(p + j) * scale - logsumexp;
    x = x > Vec{} ? Vec{} : x;  // rounding may lift a probability above 1; what lies after the query is cleared below
    exp_in_place(x);
    store(p + j, x);
    store(ds + j, x * (load(ds + j) - delta) * scale);
  }
  for (int64_t j = limit; j < end; ++j) p[j] = ds[j] = 0.0F;
}

template <int kSize>
MUGATO_INLINE void backward_head(Rows grad_out, Rows q, Rows k, Rows v, Rows out, const float* logsumexp,
                                 int64_t logsumexp_stride, int64_t n, MutableRows grad_q, MutableRows grad_k,
                                 MutableRows grad_v, std::vector<float>& scratch) {
  const int64_t padded = round_up(n);
  scratch.assign(static_cast<size_t>((2 * kSize + 2 * kQueries) * padded + 2 * kSize * n), 0.0F);
  float *keys = scratch.data(), *values = keys + kSize * padded, *p = values + kSize * padded, *ds = p + kQueries * padded;
  float *sum_k = ds + kQueries * padded, *sum_v = sum_k + kSize * n;
  transpose<kSize>(k, n, keys);
  transpose<kSize>(v, n, values);
  const float scale = 1.0F / std::sqrt(static_cast<float>(kSize));
  for (int64_t i = 0; i < n; i += kQueries) {
    const int64_t queries = std::min(kQueries, n - i), count = i + queries, end = round_up(count);
    const float *q_rows[kQueries], *grad_rows[kQueries];
    pick_rows(q, i, n, q_rows);
    pick_rows(grad_out, i, n, grad_rows);
    multiply<kSize>(q_rows, keys, padded, end, p);
    multiply<kSize>(grad_rows, values, padded, end, ds);
    for (int64_t r = 0; r < kQueries; ++r) {
      float delta = 0.0F;
      for (int64_t c = 0; r < queries && c < kSize; ++c) delta += grad_rows[r][c] * out[i + r][c];
      // A row beyond the document adds nothing: all of it lies after its limit.
      gradient_row(p + r * padded, ds + r * padded, r < queries ? i + r + 1 : 0, end, scale,
                   logsumexp[std::min(i + r, n - 1) * logsumexp_stride], delta);
    }
    Vec sums[kQueries][kSize / kLanes];
    combine<kSize>(ds, padded, k, count, sums);
    for (int64_t r = 0; r < queries; ++r)
      for (int64_t part = 0; part < kSize / kLanes; ++part) store(grad_q[i + r] + part * kLanes, sums[r][part]);
    scatter<kSize>(ds, padded, q_rows, count, sum_k);
    scatter<kSize>(p, padded, grad_rows, count, sum_v);
  }
  for (int64_t j = 0; j < n; ++j) {
    std::memcpy(grad_k[j], sum_k + j * kSize, kSize * sizeof(float));
    std::memcpy(grad_v[j], sum_v + j * kSize, kSize * sizeof(float));
  }
}

// Everything a head of a document needs, by tensor strides.
struct Batch {
  const float *qkv, *out, *grad_out, *logsumexp;
  float *grad_qkv, *out_to, *logsumexp_to;
  int64_t slots, heads, size;
};

template <int kSize>
MUGATO_INLINE void run_forward(const Batch& b, const DocumentSpan& span, int64_t head, std::vector<float>& scratch) {
  const int64_t slot = span.row * b.slots + span.begin, wide = 3 * b.heads * kSize, narrow = b.heads * kSize;
  const float* q = b.qkv + slot * wide + head * kSize;
  forward_head<kSize>({q, wide}, {q + narrow, wide}, {q + 2 * narrow, wide}, span.length,
                      {b.out_to + slot * narrow + head * kSize, narrow}, b.logsumexp_to + slot * b.heads + head, b.heads,
                      scratch);
}

template <int kSize>
MUGATO_INLINE void run_backward(const Batch& b, const DocumentSpan& span, int64_t head, std::vector<float>& scratch) {
  const int64_t slot = span.row * b.slots + span.begin, wide = 3 * b.heads * kSize, narrow = b.heads * kSize;
  const float* q = b.qkv + slot * wide + head * kSize;
  float* grad = b.grad_qkv + slot * wide + head * kSize;
  const int64_t at = slot * narrow + head * kSize;
  backward_head<kSize>({b.grad_out + at, narrow}, {q, wide}, {q + narrow, wide}, {q + 2 * narrow, wide}, {b.out + at, narrow},
                       b.logsumexp + slot * b.heads + head, b.heads, span.length, {grad, wide}, {grad + narrow, wide},
                       {grad + 2 * narrow, wide}, scratch);
}

using Task = void (*)(const Batch&, const DocumentSpan&, int64_t head, std::vector<float>& scratch);

// The same source for each instruction set. clang-format off: the table reads better aligned.
#define MUGATO_TASKS(NAME, TARGET)                                                                                   \
  template <int kSize>                                                                                               \
  TARGET void forward_##NAME(const Batch& b, const DocumentSpan& span, int64_t head, std::vector<float>& scratch) {  \
    run_forward<kSize>(b, span, head, scratch);                                                                      \
  }                                                                                                                  \
  template <int kSize>                                                                                               \
  TARGET void backward_##NAME(const Batch& b, const DocumentSpan& span, int64_t head, std::vector<float>& scratch) { \
    run_backward<kSize>(b, span, head, scratch);                                                                     \
  }
MUGATO_TASKS(plain, )
#ifdef __x86_64__
MUGATO_TASKS(avx2, __attribute__((target("avx2,fma"))))
MUGATO_TASKS(avx512, __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma"))))
#endif

template <int kSize>
Task pick_task(InstructionSet set, bool backward) {
#ifdef __x86_64__
  if (set == InstructionSet::kAvx512) return backward ? backward_avx512<kSize> : forward_avx512<kSize>;
  if (set == InstructionSet::kAvx2) return backward ? backward_avx2<kSize> : forward_avx2<kSize>;
#endif
  return backward ? backward_plain<kSize> : forward_plain<kSize>;
}

Task pick_task(int64_t size, InstructionSet set, bool backward) {
  TORCH_CHECK(machine_has(set), "this machine lacks the instructions");
  switch (size) {
    case 16:
      return pick_task<16>(set, backward);
    case 32:
      return pick_task<32>(set, backward);
    case 64:
      return pick_task<64>(set, backward);
    case 128:
      return pick_task<128>(set, backward);
    default:
      TORCH_CHECK(false, "no kernel for heads of ", size);
  }
}

void run(const Batch& batch, std::span<const DocumentSpan> documents, InstructionSet set, bool backward) {
  const Task task = pick_task(batch.size, set, backward);
  const auto num_tasks = static_cast<int64_t>(documents.size()) * batch.heads;
  at::parallel_for(0, num_tasks, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch;
    for (int64_t i = begin; i < end; ++i)
      task(batch, documents[static_cast<size_t>(i / batch.heads)], i % batch.heads, scratch);
  });
}

}  // namespace

bool machine_has(InstructionSet set) {
  switch (set) {
    case InstructionSet::kPlain:
      return true;
#ifdef __x86_64__
    case InstructionSet::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case InstructionSet::kAvx512:
      return machine_has(InstructionSet::kAvx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
#endif
    default:
      return false;
  }
}

InstructionSet fastest_instruction_set() {
  for (const auto set : {InstructionSet::kAvx512, InstructionSet::kAvx2})
    if (machine_has(set)) return set;
  return InstructionSet::kPlain;
}

bool packed_attention_fits(const at::Tensor& qkv_BS3HD) {
  const int64_t size = qkv_BS3HD.size(4);
  return qkv_BS3HD.is_cpu() && qkv_BS3HD.scalar_type() == at::kFloat && qkv_BS3HD.is_contiguous() &&
         (size == 16 || size == 32 || size == 64 || size == 128);
}

void packed_attention_forward(const at::Tensor& qkv, std::span<const DocumentSpan> documents, at::Tensor& out,
                              at::Tensor& logsumexp, InstructionSet set) {
  Batch batch{.qkv = qkv.const_data_ptr<float>(), .slots = qkv.size(1), .heads = qkv.size(3), .size = qkv.size(4)};
  batch.out_to = out.data_ptr<float>();
  batch.logsumexp_to = logsumexp.data_ptr<float>();
  run(batch, documents, set, false);
}

void packed_attention_backward(const at::Tensor& grad_out, const at::Tensor& qkv, const at::Tensor& out,
                               const at::Tensor& logsumexp, std::span<const DocumentSpan> documents, at::Tensor& grad_qkv,
                               InstructionSet set) {
  Batch batch{.qkv = qkv.const_data_ptr<float>(), .slots = qkv.size(1), .heads = qkv.size(3), .size = qkv.size(4)};
  batch.out = out.const_data_ptr<float>();
  batch.grad_out = grad_out.const_data_ptr<float>();
  batch.logsumexp = logsumexp.const_data_ptr<float>();
  batch.grad_qkv = grad_qkv.data_ptr<float>();
  run(batch, documents, set, true);
}

}  // namespace mugato
