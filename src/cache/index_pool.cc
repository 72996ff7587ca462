#include "cache/index_pool.h"

#include "base/check.h"

namespace gallop::cache {

IndexPool::IndexPool(int32_t capacity)
    : capacity_(capacity), lent_(static_cast<size_t>(capacity), false) {
  CHECK_GE(capacity, 0);
  free_.reserve(static_cast<size_t>(capacity));
  for (int32_t place = capacity - 1; place >= 0; --place) free_.push_back(place);
}

bool IndexPool::acquire(int32_t count, std::vector<int32_t>& places) {
  CHECK_GE(count, 0);
  if (count > available()) return false;
  for (int32_t i = 0; i < count; ++i) {
    const int32_t place = free_.back();
    free_.pop_back();
    lent_[static_cast<size_t>(place)] = true;
    places.push_back(place);
  }
  return true;
}

void IndexPool::release(std::vector<int32_t>& places) {
  while (!places.empty()) {
    const int32_t place = places.back();
    CHECK(place >= 0 && place < capacity_ && lent_[static_cast<size_t>(place)]);
    lent_[static_cast<size_t>(place)] = false;
    free_.push_back(place);
    places.pop_back();
  }
}

}  // namespace gallop::cache
