#include "ops/attention/attention.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "ops/cpu/simd.h"
#include "ops/cpu/simd_attention.h"
#include "ops/kv_write/kv_write.h"
#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"
#include "ops/testing/packed_weight.h"

namespace gallop::ops::testing {
namespace {

struct AttentionCase {
  int64_t q_heads;
  int64_t kv_heads;
  int64_t dim;
  int32_t page_size;
  bool causal;
  int32_t window;
};

const std::vector<AttentionCase> kCases = {
    {1, 1, 1, 1, true, 0},      {2, 1, 16, 4, true, 0},   {4, 2, 48, 16, false, 0},
    {6, 2, 128, 16, true, 0},   {4, 1, 256, 64, true, 0}, {3, 3, 33, 5, true, 7},
    {4, 2, 128, 16, false, 20}, {2, 2, 16, 3, false, 1},  {2, 1, 64, 16, true, 1}};

// Tokens that a sequence has in the end, and the page numbers it holds.
struct Sequence {
  TestTensor q, k, v;  // [tokens, heads, dim]
  std::vector<int32_t> pages;

  int32_t tokens() const { return static_cast<int32_t>(q.view().extent(0)); }
};

// A cache whose unused places are NaN, and sequences that hold its pages in random order.
struct World {
  AttentionCase c;
  std::vector<Sequence> sequences;
  TestTensor k_pages, v_pages;
};

World make_world(const AttentionCase& c, const std::vector<int64_t>& lengths, uint64_t seed) {
  Random random(seed);
  int64_t num_pages = 1;  // one that nobody holds
  for (const int64_t length : lengths) num_pages += (length + c.page_size - 1) / c.page_size;
  const Shape pages{num_pages, c.page_size, c.kv_heads, c.dim};
  World world{c, {}, TestTensor(DType::kF32, pages), TestTensor(DType::kF32, pages)};
  std::vector<int32_t> free = random.permutation(num_pages);
  for (const int64_t length : lengths) {
    Random own(seed + static_cast<uint64_t>(length));  // the same tokens in every world
    Sequence sequence{TestTensor::normal(own, Shape{length, c.q_heads, c.dim}),
                      TestTensor::normal(own, Shape{length, c.kv_heads, c.dim}),
                      TestTensor::normal(own, Shape{length, c.kv_heads, c.dim}),
                      {}};
    for (int64_t first = 0; first < length; first += c.page_size) {
      sequence.pages.push_back(free.back());
      free.pop_back();
    }
    world.sequences.push_back(std::move(sequence));
  }
  return world;
}

// Rows [begin, end) of one sequence in a step.
struct Part {
  size_t sequence;
  int32_t begin;
  int32_t end;
};

void copy_rows(TestTensor& to, int64_t at, const TestTensor& from, const Part& part) {
  const int64_t width = from.elements() / from.view().extent(0);
  for (int64_t i = part.begin * width; i < part.end * width; ++i) {
    to.set(at * width + i - part.begin * width, from.at(i));
  }
}

// Writes the new rows' keys and values, then attends.
TestTensor step(World& world, const std::vector<Part>& parts, int threads = 1) {
  const AttentionCase& c = world.c;
  std::vector<SequenceRows> rows;
  std::vector<std::vector<int32_t>> pages;
  for (const Part& part : parts) {
    rows.push_back({.rows = part.end - part.begin, .position = part.begin});
    pages.push_back(world.sequences[part.sequence].pages);
  }
  const TestBatch batch(rows, pages, c.page_size);
  TestTensor q(DType::kF32, Shape{batch.rows(), c.q_heads, c.dim});
  TestTensor k(DType::kF32, Shape{batch.rows(), c.kv_heads, c.dim});
  TestTensor v(DType::kF32, Shape{batch.rows(), c.kv_heads, c.dim});
  int64_t row = 0;
  for (const Part& part : parts) {
    const Sequence& sequence = world.sequences[part.sequence];
    copy_rows(q, row, sequence.q, part);
    copy_rows(k, row, sequence.k, part);
    copy_rows(v, row, sequence.v, part);
    row += part.end - part.begin;
  }
  run(KvWrite{k.view(), v.view(), batch.batch().kv_slots, world.k_pages.view(),
              world.v_pages.view()});
  TestTensor out(DType::kF32, q.view().shape());
  run(PagedAttention{.out = out.view(),
                     .q = q.view(),
                     .k_pages = world.k_pages.view(),
                     .v_pages = world.v_pages.view(),
                     .batch = batch.batch(),
                     .scale = 0.125f,
                     .causal = c.causal,
                     .window = c.window},
      threads);
  EXPECT_TRUE(out.guards_intact());
  return out;
}

// One head of one row: `step_end` is one past the last position of its step.
void attend(std::vector<Approx>& out, const AttentionCase& c, const Sequence& sequence, int64_t row,
            int64_t head, int64_t step_end) {
  const int64_t kv_head = head / (c.q_heads / c.kv_heads);
  std::vector<int64_t> keys;
  std::vector<Approx> scores;
  for (int64_t j = 0; j < sequence.tokens(); ++j) {
    if (c.causal ? j > row : j >= step_end) continue;
    if (c.window > 0 && row - j >= c.window) continue;
    DotProduct dot;
    for (int64_t i = 0; i < c.dim; ++i) {
      dot.add(sequence.q.at((row * c.q_heads + head) * c.dim + i),
              sequence.k.at((j * c.kv_heads + kv_head) * c.dim + i));
    }
    keys.push_back(j);
    scores.push_back(dot.sum() * Approx(0.125));
  }
  // The sums of the contract, tile by tile.
  Approx best, total;
  std::vector<Approx> sums(static_cast<size_t>(c.dim));
  for (size_t begin = 0; begin < keys.size();) {
    size_t end = begin;
    while (end < keys.size() && keys[end] / kKeyTile == keys[begin] / kKeyTile) ++end;
    const auto less = [](const Approx& a, const Approx& b) { return a.value < b.value; };
    const Approx highest = *std::max_element(&scores[begin], &scores[begin] + (end - begin), less);
    const bool rises = begin == 0 || best.value < highest.value;
    const Approx fade = begin == 0 ? Approx(0) : rises ? exp(best - highest) : Approx(1);
    best = rises ? highest : best;
    std::vector<Approx> weights;
    for (size_t j = begin; j < end; ++j) weights.push_back(exp(scores[j] - best));
    DotProduct weight_sum;
    weight_sum.add(total * fade, 1);
    for (const Approx& weight : weights) weight_sum.add(weight, 1);
    total = weight_sum.sum();
    for (int64_t i = 0; i < c.dim; ++i) {
      DotProduct sum;
      sum.add(sums[static_cast<size_t>(i)] * fade, 1);
      for (size_t j = begin; j < end; ++j) {
        sum.add(weights[j - begin], sequence.v.at((keys[j] * c.kv_heads + kv_head) * c.dim + i));
      }
      sums[static_cast<size_t>(i)] = sum.sum();
    }
    begin = end;
  }
  for (const Approx& sum : sums) out.push_back(sum / total);
}

std::vector<Approx> reference(const World& world, const Part& part) {
  std::vector<Approx> out;
  for (int64_t row = part.begin; row < part.end; ++row) {
    for (int64_t head = 0; head < world.c.q_heads; ++head) {
      attend(out, world.c, world.sequences[part.sequence], row, head, part.end);
    }
  }
  return out;
}

TEST(PagedAttention, EqualsTheFormulaWithinItsBound) {
  for (const AttentionCase& c : kCases) {
    SCOPED_TRACE((Shape{c.q_heads, c.kv_heads, c.dim, c.window}));
    World world = make_world(c, {1, 17, 66, 2}, 1);
    const std::vector<std::vector<Part>> steps = {
        {{1, 0, 3}, {2, 0, 64}, {0, 0, 1}}, {{2, 64, 65}, {3, 0, 2}, {1, 3, 17}}, {{2, 65, 66}}};
    for (const std::vector<Part>& parts : steps) {
      const TestTensor out = step(world, parts, 2);
      int64_t row = 0;
      for (const Part& part : parts) {
        const int64_t end = row + part.end - part.begin;
        EXPECT_TRUE(close(out.view().rows(row, end), reference(world, part)))
            << "rows " << part.begin << " to " << part.end;
        row = end;
      }
    }
  }
}

// The same rows in another step, on other pages, beside other sequences, by other threads.
TEST(PagedAttention, CompanyAndPagesAndThreadsChangeNoBit) {
  for (const AttentionCase& c : kCases) {
    SCOPED_TRACE((Shape{c.q_heads, c.kv_heads, c.dim, c.window}));
    World alone = make_world(c, {33}, 1);
    step(alone, {{0, 0, 20}});
    const TestTensor expected = step(alone, {{0, 20, 33}});
    World crowded = make_world(c, {5, 33, 40, 1}, 1);
    for (int64_t i = 0; i < expected.elements(); ++i) {
      ASSERT_EQ(alone.sequences[0].q.at(i), crowded.sequences[1].q.at(i));
    }
    step(crowded, {{2, 0, 40}, {1, 0, 20}, {0, 0, 4}});
    const TestTensor out = step(crowded, {{0, 4, 5}, {1, 20, 33}, {3, 0, 1}}, 3);
    EXPECT_TRUE(same_bits(out.view().rows(1, 14), expected.view()));
  }
}

// A causal row does not know how many rows came with it.
TEST(PagedAttention, CausalChunksChangeNoBit) {
  for (const AttentionCase& c : kCases) {
    if (!c.causal) continue;
    SCOPED_TRACE((Shape{c.q_heads, c.kv_heads, c.dim, c.window}));
    World whole = make_world(c, {130}, 1);
    const TestTensor expected = step(whole, {{0, 0, 130}});
    for (const int32_t chunk : {1, 7, 64}) {
      World world = make_world(c, {130}, 1);
      for (int32_t begin = 0; begin < 130; begin += chunk) {
        const int32_t end = std::min(130, begin + chunk);
        const TestTensor out = step(world, {{0, begin, end}});
        ASSERT_TRUE(same_bits(out.view(), expected.view().rows(begin, end))) << begin;
      }
    }
  }
}

// Keys grow with their position, so that the largest score moves from tile to tile; windows begin
// in the middle of one.
World rising_world(const AttentionCase& c) {
  World world = make_world(c, {200}, 3);
  Sequence& sequence = world.sequences[0];
  for (int64_t i = 0; i < sequence.k.elements(); ++i) {
    const int64_t position = i / (c.kv_heads * c.dim);
    sequence.k.set(i, sequence.k.at(i) * 0.02 * static_cast<double>(position));
  }
  return world;
}

TEST(PagedAttention, ManyTilesEqualTheFormulaWithinItsBound) {
  for (const AttentionCase& c : std::vector<AttentionCase>{
           {2, 1, 32, 16, true, 0}, {2, 2, 16, 5, true, 100}, {2, 1, 33, 16, false, 150}}) {
    SCOPED_TRACE((Shape{c.q_heads, c.kv_heads, c.dim, c.window}));
    World world = rising_world(c);
    step(world, {{0, 0, 190}});
    const Part part{0, 190, 200};
    EXPECT_TRUE(close(step(world, {part}).view(), reference(world, part)));
  }
}

// Bit for bit, with the contract's steps written out over one head of consecutive pages.
TEST(PagedAttention, TilesAreAddedUpInTheOrderOfTheContract) {
  constexpr int64_t kDim = 48;
  constexpr int64_t kRow = 199;
  World world = rising_world({1, 1, kDim, 16, true, 120});
  const Sequence& sequence = world.sequences[0];
  step(world, {{0, 0, kRow}});
  const TestTensor out = step(world, {{0, kRow, kRow + 1}});
  const TensorView query = sequence.q.view().rows(kRow, kRow + 1).reshaped({1, kDim});
  float m = -INFINITY, t = 0;
  TestTensor o(DType::kF32, Shape{1, 1, kDim});
  for (int64_t i = 0; i < kDim; ++i) o.set(i, 0);
  for (int64_t tile = 0; tile <= kRow; tile += 64) {
    const int64_t begin = std::max<int64_t>(tile, kRow - 119);
    const int64_t end = std::min<int64_t>(tile + 64, kRow + 1);
    if (begin >= end) continue;
    const TensorView keys = sequence.k.view().rows(begin, end).reshaped({end - begin, kDim});
    const LinearWeight weight{.parts = {{.weight = FloatWeight{keys}}}};
    const TestTensor products = linear(query, weight);
    std::vector<float> scores;
    for (int64_t j = 0; j < end - begin; ++j) {
      scores.push_back(products.view().as<float>()[j] * 0.125f);
    }
    const float highest = std::max(m, *std::max_element(scores.begin(), scores.end()));
    const float fade = std::exp(m - highest);
    for (int64_t i = 0; i < kDim; ++i) o.view().as<float>()[i] *= fade;
    m = highest;
    std::vector<float> weights = scores;
    simd::exp_and_sum(weights.data(), end - begin, m);
    const std::vector<float> ones(weights.size(), 1.0f);
    t = t * fade + simd::dot(weights.data(), ones.data(), end - begin);
    for (int64_t j = begin; j < end; ++j) {
      const float w = weights[static_cast<size_t>(j - begin)];
      EXPECT_NEAR(w, std::exp(scores[static_cast<size_t>(j - begin)] - m), w * 0x1p-22f);
      const float* v = sequence.v.view().row<float>(j);
      for (int64_t i = 0; i < kDim; ++i) {
        float& sum = o.view().as<float>()[i];
        sum = simd::has_fused_multiply_add() ? std::fma(w, v[i], sum) : w * v[i] + sum;
      }
    }
  }
  for (int64_t i = 0; i < kDim; ++i) o.view().as<float>()[i] /= t;
  EXPECT_TRUE(same_bits(out.view(), o.view()));
}

TEST(PagedAttentionDeathTest, PagesOutsideTheCacheAreRefused) {
  World world = make_world({1, 1, 16, 4, true, 0}, {9}, 1);
  step(world, {{0, 0, 8}});
  world.sequences[0].pages[0] = 1000;
  EXPECT_DEATH(step(world, {{0, 8, 9}}), "CHECK failed");
  world.sequences[0].pages[0] = -1;
  EXPECT_DEATH(step(world, {{0, 8, 9}}), "CHECK failed");
}

// Softmax must not overflow: scores far beyond exp's range, one key far above all others.
TEST(PagedAttention, LargeScoresAreFinite) {
  World world = make_world({1, 1, 16, 4, true, 0}, {9}, 1);
  Sequence& sequence = world.sequences[0];
  for (int64_t i = 0; i < sequence.q.elements(); ++i) {
    sequence.q.set(i, 1000);
    sequence.k.set(i, i / 16 == 3 ? 1000 : -1000);
  }
  const TestTensor out = step(world, {{0, 0, 9}});
  for (int64_t row = 3; row < 9; ++row) {
    for (int64_t i = 0; i < 16; ++i) {
      EXPECT_EQ(out.at(row * 16 + i), sequence.v.at(3 * 16 + i));
    }
  }
}

}  // namespace
}  // namespace gallop::ops::testing
