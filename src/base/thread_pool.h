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
  // Ranges hold at least `grain` items (but for the last). One caller at a time. A worker that the
  // system has not given a core yet is not waited for: the others do its share.
  void parallel_for(int64_t count, int64_t grain,
                    const std::function<void(int64_t begin, int64_t end)>& body);

 private:
  void work();
  void wait_for_loop(uint64_t seen);
  void take_ranges();

  std::vector<std::thread> workers_;
  std::mutex mutex_;  // guards nothing but the wake-up
  std::condition_variable wake_;

  // A loop is open from the moment its ranges can be taken until none is left. Workers join it
  // (`inside_`), look whether it is still open, and leave; the caller closes it, then waits for
  // those inside. So the fields of a loop change only while nobody looks at them.
  std::atomic<uint64_t> open_ = 0;  // the number of the open loop, 0: none
  std::atomic<int> inside_ = 0;     // workers between joining and leaving
  std::atomic<int> asleep_ = 0;     // workers that need waking
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> next_ = 0;  // first item nobody has taken
  uint64_t loops_ = 0;             // the caller's count
  int64_t count_ = 0;
  int64_t step_ = 1;
  const std::function<void(int64_t, int64_t)>* body_ = nullptr;
};

}  // namespace gallop
