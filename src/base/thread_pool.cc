#include "base/thread_pool.h"

#include <algorithm>
#include <system_error>

#include <fmt/format.h>
#include <sched.h>

#include "base/check.h"
#include "base/log.h"

namespace gallop {
namespace {

// A decode step has some hundred short loops a few microseconds apart: a worker that slept between
// them would spend more time waking than working. It spins this many rounds (100 to 250 us, as long
// as the core's pause takes), yields for tens of us so that a busy machine is not starved, then
// sleeps.
constexpr int kSpins = 10000;
constexpr int kYields = 50;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

ThreadPool::ThreadPool(int threads) {
  CHECK_GE(threads, 1);
  workers_.reserve(static_cast<size_t>(threads - 1));
  try {
    for (int i = 1; i < threads; ++i) {
      workers_.emplace_back([this] { work(); });
    }
  } catch (const std::system_error& error) {  // a limit of the system; fewer change no result
    log_warning(fmt::format("only {} of {} threads could be started: {}", this->threads(), threads,
                            error.what()));
  }
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  {
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::parallel_for(int64_t count, int64_t grain,
                              const std::function<void(int64_t, int64_t)>& body) {
  CHECK_GE(grain, 1);
  if (count <= 0) return;
  if (workers_.empty() || count <= grain) {
    body(0, count);
    return;
  }
  // A few ranges per thread even out threads of unequal speed.
  const int64_t ranges = 4 * threads();
  count_ = count;
  step_ = std::max(grain, (count + ranges - 1) / ranges);
  body_ = &body;
  next_ = 0;
  open_ = ++loops_;
  if (asleep_ > 0) {
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  take_ranges();
  open_ = 0;
  for (int spins = 0; inside_ != 0; ++spins) {
    if (spins < kSpins) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
}

void ThreadPool::take_ranges() {
  while (true) {
    const int64_t begin = next_.fetch_add(step_, std::memory_order_relaxed);
    if (begin >= count_) return;
    (*body_)(begin, std::min(begin + step_, count_));
  }
}

void ThreadPool::work() {
  for (uint64_t seen = 0; !stop_;) {
    wait_for_loop(seen);
    ++inside_;
    const uint64_t loop = open_;
    if (loop != 0) {
      take_ranges();
      seen = loop;
    }
    --inside_;
  }
}

// Returns when a loop other than `seen` is open, or the pool stops.
void ThreadPool::wait_for_loop(uint64_t seen) {
  const auto due = [&] {
    const uint64_t loop = open_;
    return stop_ || (loop != 0 && loop != seen);
  };
  for (int i = 0; i < kSpins + kYields; ++i) {
    if (due()) return;
    if (i < kSpins) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
  std::unique_lock lock(mutex_);
  ++asleep_;
  wake_.wait(lock, due);
  --asleep_;
}

}  // namespace gallop
