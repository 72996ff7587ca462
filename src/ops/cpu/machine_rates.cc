#include "ops/cpu/machine_rates.h"

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/machine_rates.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <numeric>

#include "base/thread_pool.h"
#include "ops/cpu/cpu_backend.h"

HWY_BEFORE_NAMESPACE();
namespace gallop::ops::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Independent chains: more than latency (4 cycles) times units (2), fewer than 16 registers.
constexpr int kChains = 12;

// A sum of all whole vectors, so that no load can be left out.
uint64_t sum_words(const uint64_t* words, size_t count) {
  const hn::ScalableTag<uint64_t> d;
  constexpr size_t kUnroll = 4;
  const size_t lanes = hn::Lanes(d);
  auto s0 = hn::Zero(d);
  auto s1 = s0;
  auto s2 = s0;
  auto s3 = s0;
  for (size_t i = 0; i + kUnroll * lanes <= count; i += kUnroll * lanes) {
    s0 = hn::Add(s0, hn::LoadU(d, words + i));
    s1 = hn::Add(s1, hn::LoadU(d, words + i + lanes));
    s2 = hn::Add(s2, hn::LoadU(d, words + i + 2 * lanes));
    s3 = hn::Add(s3, hn::LoadU(d, words + i + 3 * lanes));
  }
  uint64_t parts[hn::MaxLanes(d)];
  hn::StoreU(hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)), d, parts);
  return std::accumulate(parts, parts + lanes, uint64_t{0});
}

// `rounds` multiply-adds on each of kChains vectors; gives a value that every chain went into. Each
// chain goes to 2: x / 2 + 1. `operations` counts a multiply-add as two.
float multiply_rounds(int64_t rounds, int64_t* operations) {
  const hn::CappedTag<float, 16> d;
  const auto half = hn::Set(d, 0.5f);
  const auto one = hn::Set(d, 1.0f);
  hn::Vec<decltype(d)> sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = hn::Set(d, static_cast<float>(i));
  for (int64_t round = 0; round < rounds; ++round) {
    for (int i = 0; i < kChains; ++i) sums[i] = hn::MulAdd(sums[i], half, one);
  }
  for (int i = 1; i < kChains; ++i) sums[0] = hn::Add(sums[0], sums[i]);
  *operations = 2 * kChains * rounds * static_cast<int64_t>(hn::Lanes(d));
  return hn::GetLane(sums[0]);
}

}  // namespace gallop::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gallop::ops {
namespace {

HWY_EXPORT(sum_words);
HWY_EXPORT(multiply_rounds);

using Clock = std::chrono::steady_clock;

// Passes until this much time is over, at least three: the first may pay for cold clocks.
constexpr double kSeconds = 0.3;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

template <typename Pass>
double best_seconds(Pass pass) {
  const Clock::time_point begin = Clock::now();
  double best = 0;
  for (int passes = 0; passes < 3 || seconds_since(begin) < kSeconds; ++passes) {
    const Clock::time_point start = Clock::now();
    pass();
    const double seconds = seconds_since(start);
    best = passes == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

}  // namespace

Result<double> read_rate(int64_t bytes, int threads) {
  constexpr int64_t kGrain = 1 << 16;  // a piece that one thread reads at a time
  const int64_t pieces = std::max<int64_t>(1, bytes / kGrain);
  ASSIGN_OR_RETURN(const Buffer memory,
                   make_cpu_backend(1)->allocate(static_cast<size_t>(pieces * kGrain)));
  auto* data = static_cast<uint8_t*>(memory.data());
  ThreadPool pool(threads);
  const auto over_all = [&](const auto& body) {
    pool.parallel_for(pieces, 4, [&](int64_t begin, int64_t end) {
      body(data + begin * kGrain, static_cast<size_t>((end - begin) * kGrain));
    });
  };
  // Pages that were never written share one page of zeros.
  over_all([](uint8_t* from, size_t size) { std::memset(from, 1, size); });
  std::atomic<uint64_t> sum = 0;
  const double seconds = best_seconds([&] {
    over_all([&](const uint8_t* from, size_t size) {
      sum += HWY_DYNAMIC_DISPATCH(sum_words)(reinterpret_cast<const uint64_t*>(from),
                                             size / sizeof(uint64_t));
    });
  });
  CHECK_NE(sum.load(), 0u);
  return static_cast<double>(pieces * kGrain) / seconds;
}

double multiply_add_rate(int threads) {
  constexpr int64_t kRounds = 1'000'000;  // some milliseconds
  ThreadPool pool(threads);
  std::atomic<int64_t> operations = 0;  // of a pass
  std::atomic<float> kept = 0;          // so that no pass can be left out
  const double seconds = best_seconds([&] {
    operations = 0;
    pool.parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
      int64_t done = 0;
      kept = HWY_DYNAMIC_DISPATCH(multiply_rounds)((end - begin) * kRounds, &done);
      operations += done;
    });
  });
  return static_cast<double>(operations.load()) / seconds;
}

}  // namespace gallop::ops
#endif
