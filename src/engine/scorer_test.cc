#include "engine/scorer.h"

#include <cstring>
#include <filesystem>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "model/weight_loader.h"
#include "ops/testing/wrapped_cpu.h"

namespace gallop::engine {
namespace {

// A CPU whose downloads arrive when a device's may: no earlier than synchronize().
class LateDownloads : public ops::WrappedCpu {
 public:
  Result<Buffer> allocate(size_t bytes) override {
    ++allocations_;
    return WrappedCpu::allocate(bytes);
  }
  void download(void* host, const TensorView& device) override {
    const auto bytes = static_cast<size_t>(device.shape().elements()) * dtype_bytes(device.dtype());
    std::vector<uint8_t> copy(bytes);
    WrappedCpu::download(copy.data(), device);
    pending_.push_back({host, std::move(copy)});
  }
  Result<void> synchronize() override {
    for (const Pending& late : pending_) std::memcpy(late.host, late.copy.data(), late.copy.size());
    pending_.clear();
    return {};
  }

  int allocations() const { return allocations_; }

 private:
  struct Pending {
    void* host;
    std::vector<uint8_t> copy;
  };
  std::vector<Pending> pending_;
  int allocations_ = 0;
};

TEST(Scorer, WaitsForDownloadsAndAllocatesNothing) {
  const std::filesystem::path golden = GALLOP_SOURCE_DIR "/tests/golden/text-odd";
  const auto target = model::load_model(golden / "model");
  ASSERT_TRUE(target.ok()) << target.error().message;
  const auto drafter = model::load_drafter(golden / "drafter", target->config);
  ASSERT_TRUE(drafter.ok()) << drafter.error().message;
  const ScorerOptions options{.max_tokens = 40, .chunk = 7, .layers = {0, 2}};
  std::vector<int32_t> ids(40);
  std::iota(ids.begin(), ids.end(), 3);

  const auto cpu = ops::make_cpu_backend(1);
  const auto scorer = Scorer::create(*target, &*drafter, options, *cpu);
  ASSERT_TRUE(scorer.ok());
  const auto expected = (*scorer)->score(ids);
  ASSERT_TRUE(expected.ok());

  LateDownloads late;
  const auto late_scorer = Scorer::create(*target, &*drafter, options, late);
  ASSERT_TRUE(late_scorer.ok());
  const int allocations = late.allocations();
  const auto scores = (*late_scorer)->score(ids);
  ASSERT_TRUE(scores.ok());
  EXPECT_EQ(scores->logits, expected->logits);
  EXPECT_EQ(scores->hidden, expected->hidden);
  EXPECT_EQ(scores->draft_hidden, expected->draft_hidden);
  EXPECT_EQ(scores->draft_logits, expected->draft_logits);
  EXPECT_EQ(late.allocations(), allocations);
}

}  // namespace
}  // namespace gallop::engine
