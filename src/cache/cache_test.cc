#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "cache/index_pool.h"
#include "cache/page_math.h"

namespace gallop::cache {
namespace {

// Against a naive model: the set of lent places.
TEST(IndexPool, RandomHistoriesKeepPlacesDisjoint) {
  std::mt19937 random(1);
  IndexPool pool(37);
  std::vector<std::vector<int32_t>> holders(8);
  for (int step = 0; step < 20000; ++step) {
    std::vector<int32_t>& holder = holders[random() % holders.size()];
    if (random() % 2 == 0) {
      pool.release(holder);
    } else {
      const int32_t count = static_cast<int32_t>(random() % 9);
      const int32_t before = pool.available();
      const size_t held = holder.size();
      const bool lent = pool.acquire(count, holder);
      EXPECT_EQ(lent, count <= before);
      EXPECT_EQ(holder.size(), lent ? held + static_cast<size_t>(count) : held);
    }
    std::set<int32_t> all;
    size_t total = 0;
    for (const auto& places : holders) {
      all.insert(places.begin(), places.end());
      total += places.size();
    }
    ASSERT_EQ(all.size(), total);
    ASSERT_EQ(static_cast<int32_t>(total) + pool.available(), pool.capacity());
    ASSERT_TRUE(std::all_of(all.begin(), all.end(), [](int32_t p) { return p >= 0 && p < 37; }));
  }
}

TEST(IndexPoolDeathTest, ReleasingWhatIsNotLentAborts) {
  IndexPool pool(2);
  std::vector<int32_t> foreign = {1};
  EXPECT_DEATH(pool.release(foreign), "CHECK failed");
}

TEST(PageMath, SlotsFollowThePageTable) {
  const std::vector<int32_t> pages = {5, 2};
  EXPECT_EQ(slot_of(pages, 0), 5 * kPageTokens);
  EXPECT_EQ(slot_of(pages, kPageTokens + 3), 2 * kPageTokens + 3);
  EXPECT_EQ(pages_for(0), 0);
  EXPECT_EQ(pages_for(1), 1);
  EXPECT_EQ(pages_for(kPageTokens), 1);
  EXPECT_EQ(pages_for(kPageTokens + 1), 2);
}

}  // namespace
}  // namespace gallop::cache
