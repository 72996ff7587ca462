// One worker thread that runs tasks in order, off the I/O thread: parsing, templates, tokenisation.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace gallop::server {

class TaskThread {
 public:
  TaskThread() : thread_([this] { work(); }) {}
  // Drops the tasks that have not begun.
  ~TaskThread();
  TaskThread(const TaskThread&) = delete;
  TaskThread& operator=(const TaskThread&) = delete;

  // The queue's bound is its callers' own: one task per request whose body the server still holds.
  void run(std::function<void()> task);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stop_ = false;
  std::thread thread_;  // last: it uses the members above
};

}  // namespace gallop::server
