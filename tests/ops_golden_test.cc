// The CPU ops against tensors that PyTorch and transformers made
// (tools/reference/make_op_goldens.py): the anchor of the reference that every other backend is
// compared with.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "checkpoint/safetensors.h"
#include "checkpoint/testing/stored_view.h"
#include "ops/ops.h"
#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"

namespace gallop::ops {
namespace {

using testing::close;
using testing::kUnit;
using testing::run;
using testing::TestBatch;
using testing::TestTensor;

// Two programs that round the same few operations differently: 16 units of the row's largest value.
constexpr double kFewRoundings = 16;
constexpr float kEps = 1e-6f;

// A tensor of the golden file, copied so that ops may write on it.
TestTensor golden(const std::string& name) {
  static const auto file = checkpoint::SafetensorsFile::open(
      std::filesystem::path(GALLOP_SOURCE_DIR) / "tests/golden/ops/ops.safetensors");
  EXPECT_TRUE(file.ok()) << file.error().message;
  const TensorView view = checkpoint::stored_view(file.value(), name);
  EXPECT_FALSE(view.empty()) << name;
  TestTensor tensor(view.dtype(), view.shape());
  std::memcpy(tensor.view().data(), view.data(),
              static_cast<size_t>(tensor.elements()) * dtype_bytes(view.dtype()));
  return tensor;
}

// Each row of the outermost axis agrees within `units` of its largest value; `units` of a row may
// differ.
::testing::AssertionResult agrees(const TensorView& out, const std::string& name,
                                  const std::vector<double>& units = {kFewRoundings}) {
  const TestTensor expected = golden(name);
  const std::vector<double> values = expected.values();
  const auto width = static_cast<int64_t>(values.size()) / expected.view().extent(0);
  std::vector<testing::Approx> bounded;
  for (int64_t row = 0; row < expected.view().extent(0); ++row) {
    const auto begin = values.begin() + row * width;
    const auto magnitude = [](double a, double b) { return std::max(a, std::abs(b)); };
    const double largest = std::accumulate(begin, begin + width, 0.0, magnitude);
    const double allowed = units.size() == 1 ? units[0] : units.at(static_cast<size_t>(row));
    for (int64_t i = 0; i < width; ++i) bounded.emplace_back(begin[i], allowed * kUnit * largest);
  }
  return close(out, bounded) << " (" << name << ")";
}

TEST(OpsGolden, Norms) {
  const TestTensor x = golden("rms_norm.x"), weight = golden("rms_norm.weight");
  const TestTensor out(DType::kF32, x.view().shape());
  run(RmsNorm{out.view(), x.view(), weight.view(), 1, kEps});
  EXPECT_TRUE(agrees(out.view(), "rms_norm.out"));
  run(RmsNorm{out.view(), x.view(), weight.view(), 0, kEps});
  EXPECT_TRUE(agrees(out.view(), "rms_norm.plain"));

  const TestTensor heads = golden("gated_norm.x"), gate = golden("gated_norm.gate");
  const TestTensor head_weight = golden("gated_norm.weight");
  run(GatedRmsNorm{heads.view(), heads.view(), gate.view(), head_weight.view(), kEps});
  EXPECT_TRUE(agrees(heads.view(), "gated_norm.out"));
}

TEST(OpsGolden, Rope) {
  const TestTensor x = golden("rope.x"), weight = golden("rope.weight");
  const TestTensor positions = golden("rope.positions");
  // Frequencies are at most 1 and rounded a few times, so angles differ by units of the position.
  std::vector<double> units;
  for (const double position : positions.values()) units.push_back(kFewRoundings + 4 * position);
  const TestTensor out(DType::kF32, x.view().shape());
  NormRope op{.out = out.view(),
              .x = x.view(),
              .weight = weight.view(),
              .positions = positions.view(),
              .weight_offset = 1,
              .eps = kEps,
              .theta = 1e7f,
              .rotary_dim = 16};
  run(op);
  EXPECT_TRUE(agrees(out.view(), "rope.partial", units));
  op.weight_offset = 0;
  op.theta = 1e6f;
  op.rotary_dim = 64;
  run(op);
  EXPECT_TRUE(agrees(out.view(), "rope.whole", units));
}

TEST(OpsGolden, Attention) {
  const TestTensor q = golden("attention.q"), k = golden("attention.k"), v = golden("attention.v");
  const TestBatch batch({{.rows = 9}}, {{2, 0, 1}}, 4);
  const TestTensor k_pages(DType::kF32, Shape{3, 4, 2, 32});
  const TestTensor v_pages(DType::kF32, Shape{3, 4, 2, 32});
  run(KvWrite{k.view(), v.view(), batch.batch().kv_slots, k_pages.view(), v_pages.view()});
  const TestTensor out(DType::kF32, q.view().shape());
  PagedAttention op{.out = out.view(),
                    .q = q.view(),
                    .k_pages = k_pages.view(),
                    .v_pages = v_pages.view(),
                    .batch = batch.batch(),
                    .scale = 1 / std::sqrt(32.0f)};
  run(op);
  EXPECT_TRUE(agrees(out.view(), "attention.causal"));
  op.window = 4;
  run(op);
  EXPECT_TRUE(agrees(out.view(), "attention.window"));
  op.causal = false;
  op.window = 0;
  run(op);
  EXPECT_TRUE(agrees(out.view(), "attention.full"));
}

TEST(OpsGolden, Convolution) {
  const TestTensor x = golden("conv.x"), weight = golden("conv.weight");
  const TestTensor ring(DType::kF32, Shape{1, 7, 12});
  const TestTensor out(DType::kF32, x.view().shape());
  for (const auto& [begin, end] : {std::pair{0, 20}, {20, 21}, {21, 23}}) {
    const TestBatch batch(std::vector<SequenceRows>{{.rows = end - begin, .position = begin}});
    run(CausalConv1d{out.view().rows(begin, end), x.view().rows(begin, end), weight.view(),
                     ring.view(), batch.batch()});
  }
  EXPECT_TRUE(agrees(out.view(), "conv.out"));
}

// A recurrence of n steps rounds each state n times: units grow with the row.
std::vector<double> growing_units(int64_t rows) {
  std::vector<double> units;
  for (int64_t row = 0; row < rows; ++row) {
    units.push_back(kFewRoundings + 4 * static_cast<double>(row));
  }
  return units;
}

void check_delta_rule(const std::string& name, int64_t k_heads, int64_t v_heads, int64_t dim,
                      bool has_state) {
  const TestTensor qkv = golden(name + ".qkv"), a = golden(name + ".a"), b = golden(name + ".b");
  const TestTensor a_log = golden(name + ".a_log"), dt_bias = golden(name + ".dt_bias");
  const int64_t rows = qkv.view().extent(0);
  const TestTensor out(DType::kF32, Shape{rows, v_heads, dim});
  const TestTensor state(DType::kF32, Shape{1, v_heads, dim, dim});
  const TestTensor ring_k(DType::kF32, Shape{1, 1, k_heads, dim});
  const TestTensor ring_u(DType::kF32, Shape{1, 1, v_heads, dim});
  const TestTensor ring_g(DType::kF32, Shape{1, 1, v_heads});
  const TestBatch batch(std::vector<SequenceRows>{{.rows = static_cast<int32_t>(rows)}});
  run(GdnUpdate{.out = out.view(),
                .qkv = qkv.view(),
                .a = a.view(),
                .b = b.view(),
                .a_log = a_log.view(),
                .dt_bias = dt_bias.view(),
                .state = state.view(),
                .ring_k = ring_k.view(),
                .ring_u = ring_u.view(),
                .ring_g = ring_g.view(),
                .batch = batch.batch()});
  EXPECT_TRUE(agrees(out.view(), name + ".recurrent", growing_units(rows)));
  EXPECT_TRUE(agrees(out.view(), name + ".chunked", growing_units(rows)));
  if (has_state) {
    EXPECT_TRUE(agrees(state.view().reshaped(Shape{v_heads, dim, dim}), name + ".state",
                       {growing_units(rows).back()}));
  }
}

TEST(OpsGolden, DeltaRule) {
  check_delta_rule("gdn_small", 2, 4, 16, true);
  check_delta_rule("gdn_real", 1, 2, 128, false);
}

TEST(OpsGolden, Gates) {
  const TestTensor gate_up = golden("silu_mul.gate_up");
  const TestTensor out(DType::kF32, Shape{gate_up.view().extent(0), gate_up.view().extent(1) / 2});
  run(SiluMul{out.view(), gate_up.view()});
  EXPECT_TRUE(agrees(out.view(), "silu_mul.out"));
  const TestTensor x = golden("sigmoid_mul.x"), gate = golden("sigmoid_mul.gate");
  run(SigmoidMul{x.view(), gate.view()});
  EXPECT_TRUE(agrees(x.view(), "sigmoid_mul.out"));
}

}  // namespace
}  // namespace gallop::ops
