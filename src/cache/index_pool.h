// A fixed number of equal places (pages of a cache, state slots), lent and taken back by number.
// Host bookkeeping only: what lies in a place is not known here.
#pragma once

#include <cstdint>
#include <vector>

namespace gallop::cache {

class IndexPool {
 public:
  explicit IndexPool(int32_t capacity);

  int32_t capacity() const { return capacity_; }
  int32_t available() const { return static_cast<int32_t>(free_.size()); }

  // Appends `count` places to `places`, or returns false and lends none.
  [[nodiscard]] bool acquire(int32_t count, std::vector<int32_t>& places);

  // Takes all of `places` back and empties it. A place that is not lent is a CHECK.
  void release(std::vector<int32_t>& places);

 private:
  int32_t capacity_;
  std::vector<int32_t> free_;  // lent from the back, so that equal histories lend equal places
  std::vector<bool> lent_;
};

}  // namespace gallop::cache
