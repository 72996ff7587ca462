#include "ops/decorators/timed_backend.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <variant>

#include <fmt/format.h>

namespace gallop::ops {
namespace {

// In the order of Op.
constexpr std::array<std::string_view, 16> kNames = {
    "EmbedRows",  "RmsNorm",  "AddRmsNorm", "GatedRmsNorm",   "Linear",       "SiluMul",
    "SigmoidMul", "NormRope", "KvWrite",    "PagedAttention", "CausalConv1d", "GdnUpdate",
    "GatherRows", "CopyRows", "Sample",     "AcceptDrafts"};
static_assert(kNames.size() == std::variant_size_v<Op>);

std::string name_of(const Op& op) {
  const std::string_view name = kNames[op.index()];
  const auto* linear = std::get_if<Linear>(&op);
  if (linear == nullptr) return std::string(name);
  return fmt::format("{} {}x{}", name, linear->weight->n(), linear->weight->k());
}

}  // namespace

void TimedBackend::run(const Op& op) {
  const auto begin = std::chrono::steady_clock::now();
  inner_->run(op);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  if (!counting_) return;
  const std::lock_guard lock(mutex_);
  OpTime& time = times_[name_of(op)];
  ++time.calls;
  time.seconds += taken.count();
}

std::vector<OpTime> TimedBackend::times() const {
  std::vector<OpTime> times;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, time] : times_) {
      times.push_back({.op = name, .calls = time.calls, .seconds = time.seconds});
    }
  }
  std::stable_sort(times.begin(), times.end(),
                   [](const OpTime& a, const OpTime& b) { return a.seconds > b.seconds; });
  return times;
}

void TimedBackend::reset() {
  const std::lock_guard lock(mutex_);
  times_.clear();
}

}  // namespace gallop::ops
