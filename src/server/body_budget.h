// The bytes of request bodies that the server holds, bounded over all connections. A body counts
// while it is received and until its lease is dropped, on whatever thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace gallop::server {

class BodyBudget {
 public:
  explicit BodyBudget(size_t limit) : limit_(limit) {}

  // False, and nothing is taken, when that would be beyond the limit.
  bool take(size_t bytes) {
    if (used_.fetch_add(bytes) + bytes <= limit_) return true;
    give_back(bytes);
    return false;
  }
  void give_back(size_t bytes) { used_.fetch_sub(bytes); }

 private:
  const size_t limit_;
  std::atomic<size_t> used_ = 0;
};

// One body's part of the budget.
class BodyLease {
 public:
  explicit BodyLease(std::shared_ptr<BodyBudget> budget) : budget_(std::move(budget)) {}
  ~BodyLease() { budget_->give_back(bytes_); }
  BodyLease(const BodyLease&) = delete;
  BodyLease& operator=(const BodyLease&) = delete;

  // False when the budget does not allow so many.
  bool grow_to(size_t bytes) {
    if (bytes <= bytes_) return true;
    if (!budget_->take(bytes - bytes_)) return false;
    bytes_ = bytes;
    return true;
  }

 private:
  std::shared_ptr<BodyBudget> budget_;
  size_t bytes_ = 0;
};

}  // namespace gallop::server
