// A fixed set of threads that work on one loop at a time. The pool never changes a result: callers
// split outputs, never sums.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace gallop {

// The cores this process may run on (affinity mask), at least 1.
int usable_cores();

class ThreadPool {
 public:
  // `threads` >= 1 counts the caller: a pool of one starts no thread. Where the system gives fewer,
  // the pool works with those.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(begin, end) for disjoint ranges that cover [0, count); returns when all are done.
  // Ranges hold at least `grain` items (but for the last). One caller at a time.
  void parallel_for(int64_t count, int64_t grain,
                    const std::function<void(int64_t begin, int64_t end)>& body);

 private:
  void work(uint64_t seen);
  void take_ranges();

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> round_ = 0;  // bumped under mutex_ when a loop starts
  std::atomic<int> pending_ = 0;     // workers that have not finished the current loop
  std::atomic<int64_t> next_ = 0;    // first item nobody has taken
  int64_t count_ = 0;
  int64_t step_ = 1;
  const std::function<void(int64_t, int64_t)>* body_ = nullptr;
  std::atomic<bool> stop_ = false;
};

}  // namespace gallop
