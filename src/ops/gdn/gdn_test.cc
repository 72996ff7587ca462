#include "ops/gdn/gdn.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"

namespace gallop::ops::testing {
namespace {

struct GdnShape {
  int64_t k_heads;
  int64_t v_heads;
  int64_t k_dim;
  int64_t v_dim;

  int64_t qkv_width() const { return 2 * k_heads * k_dim + v_heads * v_dim; }
};

const std::vector<GdnShape> kShapes = {{1, 1, 1, 1},   {1, 3, 16, 16}, {2, 4, 16, 16},
                                       {3, 3, 10, 21}, {2, 2, 48, 65}, {1, 2, 128, 128}};

// What the projections give for some rows.
struct Inputs {
  TestTensor qkv, a, b;

  static Inputs empty(const GdnShape& shape, int64_t rows, Layout layout) {
    return {TestTensor(DType::kF32, Shape{rows, shape.qkv_width()}),
            TestTensor(DType::kF32, Shape{rows, shape.v_heads}, layout),
            TestTensor(DType::kF32, Shape{rows, shape.v_heads}, layout)};
  }
  static Inputs normal(Random& random, const GdnShape& shape, int64_t rows,
                       Layout layout = Layout::kContiguous) {
    return {TestTensor::normal(random, Shape{rows, shape.qkv_width()}),
            TestTensor::normal(random, Shape{rows, shape.v_heads}, 2, layout),
            TestTensor::normal(random, Shape{rows, shape.v_heads}, 2, layout)};
  }
  int64_t rows() const { return qkv.view().extent(0); }
};

void copy(TestTensor& to, int64_t to_row, const TestTensor& from, int64_t begin, int64_t end) {
  const int64_t width = from.view().extent(1);
  for (int64_t i = 0; i < (end - begin) * width; ++i) {
    to.set(to_row * width + i, from.at(begin * width + i));
  }
}

// Rows [begin, end) of `from` become rows of `to`.
void copy(Inputs& to, int64_t to_row, const Inputs& from, int64_t begin, int64_t end) {
  copy(to.qkv, to_row, from.qkv, begin, end);
  copy(to.a, to_row, from.a, begin, end);
  copy(to.b, to_row, from.b, begin, end);
}

// Weights, and the states of some slots; dirty (NaN) at first.
struct Layer {
  GdnShape shape;
  TestTensor a_log, dt_bias, state, ring_k, ring_u, ring_g;

  Layer(const GdnShape& of, int64_t slots, int64_t ring)
      : shape(of),
        a_log(DType::kF32, Shape{of.v_heads}),
        dt_bias(DType::kF32, Shape{of.v_heads}),
        state(DType::kF32, Shape{slots, of.v_heads, of.k_dim, of.v_dim}),
        ring_k(DType::kF32, Shape{slots, ring, of.k_heads, of.k_dim}),
        ring_u(DType::kF32, Shape{slots, ring, of.v_heads, of.v_dim}),
        ring_g(DType::kF32, Shape{slots, ring, of.v_heads}) {
    Random random(99);
    for (int64_t h = 0; h < of.v_heads; ++h) {
      a_log.set(h, random.uniform(-3, 1));
      dt_bias.set(h, random.uniform(-4, 2));
    }
  }

  TestTensor step(const Inputs& inputs, const std::vector<SequenceRows>& sequences,
                  int threads = 1) const {
    const TestBatch batch(sequences);
    TestTensor out(DType::kF32, Shape{batch.rows(), shape.v_heads, shape.v_dim});
    run(GdnUpdate{.out = out.view(),
                  .qkv = inputs.qkv.view(),
                  .a = inputs.a.view(),
                  .b = inputs.b.view(),
                  .a_log = a_log.view(),
                  .dt_bias = dt_bias.view(),
                  .state = state.view(),
                  .ring_k = ring_k.view(),
                  .ring_u = ring_u.view(),
                  .ring_g = ring_g.view(),
                  .batch = batch.batch()},
        threads);
    EXPECT_TRUE(out.guards_intact() && state.guards_intact() && ring_k.guards_intact() &&
                ring_u.guards_intact() && ring_g.guards_intact());
    return out;
  }
};

SequenceRows prompt(int32_t position, int32_t rows, int32_t slot) {
  return {.rows = rows, .position = position, .state_slot = slot};
}

std::vector<Approx> normalised(const TestTensor& x, int64_t begin, int64_t dim) {
  DotProduct squares;
  for (int64_t i = 0; i < dim; ++i) squares.add(x.at(begin + i), x.at(begin + i));
  const Approx length = sqrt(squares.sum() + Approx(static_cast<double>(1e-6f)));
  std::vector<Approx> out;
  for (int64_t i = 0; i < dim; ++i) out.push_back(Approx(x.at(begin + i)) * (Approx(1) / length));
  return out;
}

Approx softplus(Approx x) { return x.value > 20 ? x : log1p(exp(x)); }

// The formula for one head and row; `s` is the state [k_dim, v_dim], changed.
void token(std::vector<Approx>& out, std::vector<Approx>& s, const Layer& layer,
           const Inputs& inputs, int64_t row, int64_t head) {
  const GdnShape& shape = layer.shape;
  const int64_t k_head = head / (shape.v_heads / shape.k_heads);
  const int64_t begin = row * shape.qkv_width();
  const int64_t keys = shape.k_heads * shape.k_dim;
  const auto q = normalised(inputs.qkv, begin + k_head * shape.k_dim, shape.k_dim);
  const auto k = normalised(inputs.qkv, begin + keys + k_head * shape.k_dim, shape.k_dim);
  const Approx q_scale = Approx(1) / sqrt(Approx(static_cast<double>(shape.k_dim)));
  const Approx beta = sigmoid(inputs.b.at(row * shape.v_heads + head));
  const Approx pace = Approx(inputs.a.at(row * shape.v_heads + head)) + layer.dt_bias.at(head);
  const Approx decay = exp(-exp(layer.a_log.at(head)) * softplus(pace));
  const auto at = [&](int64_t i, int64_t j) -> Approx& {
    return s[static_cast<size_t>(i * shape.v_dim + j)];
  };
  for (int64_t j = 0; j < shape.v_dim; ++j) {
    DotProduct seen;
    for (int64_t i = 0; i < shape.k_dim; ++i) {
      at(i, j) = at(i, j) * decay;
      seen.add(at(i, j), k[static_cast<size_t>(i)]);
    }
    const Approx v = inputs.qkv.at(begin + 2 * keys + head * shape.v_dim + j);
    const Approx u = beta * (v - seen.sum());
    DotProduct result;
    for (int64_t i = 0; i < shape.k_dim; ++i) {
      at(i, j) = at(i, j) + k[static_cast<size_t>(i)] * u;
      result.add(at(i, j), q[static_cast<size_t>(i)] * q_scale);
    }
    out.push_back(result.sum());
  }
}

// A row against the formula, started from the state that the op itself had before it: the bound
// stays the bound of one step.
TEST(GdnUpdate, EachRowEqualsTheFormulaWithinItsBound) {
  for (const GdnShape& shape : kShapes) {
    SCOPED_TRACE((Shape{shape.k_heads, shape.v_heads, shape.k_dim, shape.v_dim}));
    Random random(1);
    const Layer layer(shape, 2, 4);
    const int64_t head_size = shape.k_dim * shape.v_dim;
    std::vector<Approx> state(static_cast<size_t>(shape.v_heads * head_size), Approx(0));
    for (int32_t position = 0; position < 40; ++position) {
      const Inputs inputs = Inputs::normal(random, shape, 1, Layout::kStridedRows);
      std::vector<Approx> expected;
      for (int64_t head = 0; head < shape.v_heads; ++head) {
        const auto begin = state.begin() + head * head_size;
        std::vector<Approx> own(begin, begin + head_size);
        token(expected, own, layer, inputs, 0, head);
        std::copy(own.begin(), own.end(), begin);
      }
      const TestTensor out = layer.step(inputs, {prompt(position, 1, 1)}, 2);
      ASSERT_TRUE(close(out.view(), expected)) << position;
      ASSERT_TRUE(close(layer.state.view().rows(1, 2), state)) << position;
      for (size_t i = 0; i < state.size(); ++i) {
        state[i] = layer.state.at(static_cast<int64_t>(state.size() + i));
      }
    }
  }
}

// Gates at their limits: the state is forgotten or kept whole, nothing becomes NaN.
TEST(GdnUpdate, ExtremeGatesAreFinite) {
  const GdnShape shape{1, 2, 16, 16};
  Random random(2);
  const Layer layer(shape, 1, 4);
  Inputs inputs = Inputs::normal(random, shape, 8);
  const std::vector<double> extremes = {-1e30, 1e30, -100, 100, 0, 20, 21, -21};
  for (int64_t i = 0; i < inputs.a.elements(); ++i) {
    inputs.a.set(i, extremes[static_cast<size_t>(i % 8)]);
    inputs.b.set(i, extremes[static_cast<size_t>(i * 3 % 8)]);
  }
  for (int64_t i = 0; i < 16; ++i) inputs.qkv.set(i, 0);  // a query of zeros
  for (int64_t i = 0; i < 16; ++i) inputs.qkv.set(shape.qkv_width() + 16 + i, 0);  // and a key
  const TestTensor out = layer.step(inputs, {prompt(0, 8, 0)});
  for (const double value : out.values()) ASSERT_TRUE(std::isfinite(value));
  for (const double value : layer.state.values()) ASSERT_TRUE(std::isfinite(value));
  for (int64_t i = 0; i < 32; ++i) EXPECT_EQ(out.at(i), 0);
}

TEST(GdnUpdate, ChunksAndThreadsChangeNoBit) {
  constexpr int32_t kTokens = 150;
  for (const GdnShape& shape : kShapes) {
    SCOPED_TRACE((Shape{shape.k_heads, shape.v_heads, shape.k_dim, shape.v_dim}));
    Random random(3);
    const Inputs inputs = Inputs::normal(random, shape, kTokens);
    const Layer whole(shape, 1, 4);
    const TestTensor expected = whole.step(inputs, {prompt(0, kTokens, 0)});
    for (const int32_t chunk : {1, 7, 64}) {
      const Layer layer(shape, 1, 4);
      for (int32_t begin = 0; begin < kTokens; begin += chunk) {
        const int32_t end = std::min(kTokens, begin + chunk);
        Inputs rows = Inputs::empty(shape, end - begin, Layout::kStridedRows);
        copy(rows, 0, inputs, begin, end);
        const TestTensor out = layer.step(rows, {prompt(begin, end - begin, 0)}, 3);
        ASSERT_TRUE(same_bits(out.view(), expected.view().rows(begin, end))) << begin;
      }
      EXPECT_TRUE(same_bits(layer.state.view(), whole.state.view()));
    }
  }
}

TEST(GdnUpdate, SlotsOfNobodyKeepWhatTheyHold) {
  const GdnShape shape{2, 4, 16, 16};
  Random random(4);
  Layer layer(shape, 5, 6);
  for (TestTensor* tensor : {&layer.state, &layer.ring_k, &layer.ring_u, &layer.ring_g}) {
    for (int64_t i = 0; i < tensor->elements(); ++i) tensor->set(i, random.uniform(-1, 0));
  }
  const Layer before = layer;
  const Inputs inputs = Inputs::normal(random, shape, 6);
  layer.step(inputs, {{.rows = 3, .position = 9, .state_slot = 3, .fold = 2, .provisional = 1},
                      {.rows = 3, .position = 0, .state_slot = 1}});
  for (const int64_t slot : {0, 2, 4}) {
    const auto same = [slot](const TestTensor& after, const TestTensor& old) {
      return same_bits(after.view().rows(slot, slot + 1), old.view().rows(slot, slot + 1));
    };
    EXPECT_TRUE(same(layer.state, before.state));
    EXPECT_TRUE(same(layer.ring_k, before.ring_k));
    EXPECT_TRUE(same(layer.ring_u, before.ring_u));
    EXPECT_TRUE(same(layer.ring_g, before.ring_g));
  }
  // Prompt rows leave no ring entries; a block leaves its own and keeps those before it.
  EXPECT_TRUE(same_bits(layer.ring_u.view().rows(1, 2), before.ring_u.view().rows(1, 2)));
  const int64_t entry = shape.v_heads * shape.v_dim;
  for (int64_t i = 0; i < 6 * entry; ++i) {
    const bool written = i / entry >= 9 % 6 && i / entry < 9 % 6 + 3;
    const bool kept = layer.ring_u.at(3 * 6 * entry + i) == before.ring_u.at(3 * 6 * entry + i);
    ASSERT_NE(kept, written) << "place " << i / entry;
  }
}

// One sequence on its way through blocks of which a prefix is accepted.
struct Walk {
  Inputs truth;
  TestTensor expected;  // one pass over the accepted tokens
  int32_t slot;
  int32_t position = 0;
  int32_t fold = 0;
  int32_t rows = 0;      // of the current step
  int32_t accepted = 0;  // of them
  bool provisional = true;
};

// Chooses each sequence's rows, accepted prefix and kind; rejected rows have arbitrary inputs.
Inputs plan_step(Random& random, const GdnShape& shape, std::vector<Walk>& walks, int64_t block,
                 std::vector<SequenceRows>& sequences) {
  int64_t total = 0;
  for (Walk& walk : walks) {
    walk.provisional = random.below(10) != 0;
    walk.rows = static_cast<int32_t>(1 + random.below(block));
    walk.accepted =
        walk.provisional ? static_cast<int32_t>(random.below(walk.rows + 1)) : walk.rows;
    sequences.push_back({.rows = walk.rows,
                         .position = walk.position,
                         .state_slot = walk.slot,
                         .fold = walk.fold,
                         .provisional = walk.provisional ? 1 : 0});
    total += walk.rows;
  }
  Inputs inputs = Inputs::normal(random, shape, total);
  int64_t row = 0;
  for (const Walk& walk : walks) {
    copy(inputs, row, walk.truth, walk.position, walk.position + walk.accepted);
    row += walk.rows;
  }
  return inputs;
}

void walk_to_the_end(const GdnShape& shape, int32_t tokens, int64_t block, int threads) {
  Random random(5);
  const Layer layer(shape, 4, 2 * block);
  std::vector<Walk> walks;
  for (const int32_t slot : {3, 0, 2}) {
    Inputs truth = Inputs::normal(random, shape, tokens);
    const Layer alone(shape, 1, 1);
    TestTensor expected = alone.step(truth, {prompt(0, tokens, 0)});
    walks.push_back({std::move(truth), std::move(expected), slot});
  }
  const auto room = [&] {
    return std::all_of(walks.begin(), walks.end(),
                       [&](const Walk& walk) { return walk.position + block <= tokens; });
  };
  while (room()) {
    std::vector<SequenceRows> sequences;
    const Inputs inputs = plan_step(random, shape, walks, block, sequences);
    const TestTensor out = layer.step(inputs, sequences, threads);
    int64_t row = 0;
    for (Walk& walk : walks) {
      const int32_t end = walk.position + walk.accepted;
      ASSERT_TRUE(same_bits(out.view().rows(row, row + walk.accepted),
                            walk.expected.view().rows(walk.position, end)))
          << "slot " << walk.slot << " position " << walk.position << " fold " << walk.fold;
      row += walk.rows;
      walk.position = end;
      walk.fold = walk.provisional ? walk.accepted : 0;
    }
  }
}

TEST(GdnUpdate, BlocksWithAnyAcceptedPrefixEqualOnePass) {
  walk_to_the_end({2, 4, 16, 16}, 1000, 8, 1);
  walk_to_the_end({1, 3, 10, 21}, 600, 5, 3);
  walk_to_the_end({1, 1, 16, 16}, 100, 1, 1);
  walk_to_the_end({1, 2, 128, 128}, 120, 16, 2);
}

TEST(GdnUpdateDeathTest, RingsOfOtherShapesAreRefused) {
  const GdnShape shape{2, 4, 16, 8};
  Random random(1);
  const Inputs inputs = Inputs::normal(random, shape, 1);
  const auto refuses = [&](auto change) {
    Layer layer(shape, 2, 4);
    change(layer);
    EXPECT_DEATH(layer.step(inputs, {prompt(0, 1, 0)}), "CHECK failed");
  };
  const auto f32 = [](const Shape& of) { return TestTensor(DType::kF32, of); };
  refuses([&](Layer& layer) { layer.ring_u = f32(Shape{2, 4, 4, 7}); });
  refuses([&](Layer& layer) { layer.ring_u = f32(Shape{2, 4, 3, 8}); });
  refuses([&](Layer& layer) { layer.ring_g = f32(Shape{2, 4, 3}); });
  refuses([&](Layer& layer) { layer.ring_k = f32(Shape{1, 4, 2, 16}); });
  refuses([&](Layer& layer) { layer.ring_g = TestTensor(DType::kI32, Shape{2, 4, 4}); });
  refuses([&](Layer& layer) {
    layer.ring_g = TestTensor(DType::kF32, Shape{2, 4, 4}, Layout::kStridedInner);
  });
  const Layer layer(shape, 2, 4);
  EXPECT_DEATH(layer.step(inputs, {prompt(0, 1, 2)}), "state_slot");
}

}  // namespace
}  // namespace gallop::ops::testing
