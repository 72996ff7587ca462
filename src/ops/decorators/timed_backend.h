// A backend around a backend that adds up how long each kind of operation takes. For devices that
// run an operation before run() returns, as the CPU does. Changes no result.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ops/backend.h"

namespace gallop::ops {

struct OpTime {
  std::string op;  // "PagedAttention"; linears by outputs and inputs: "Linear 4096x256"
  int64_t calls = 0;
  double seconds = 0;
};

class TimedBackend : public Backend {
 public:
  explicit TimedBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  // Since the last reset(), the longest first. Safe from any thread.
  std::vector<OpTime> times() const;
  void reset();
  // What runs from here on counts, as at the start, or does not.
  void set_counting(bool counting) { counting_ = counting; }

  void run(const Op& op) override;
  Result<Buffer> allocate(size_t bytes) override { return inner_->allocate(bytes); }
  void upload(const TensorView& device, const void* host) override { inner_->upload(device, host); }
  void download(void* host, const TensorView& device) override { inner_->download(host, device); }
  Result<void> synchronize() override { return inner_->synchronize(); }
  TensorView place(const TensorView& weight) override { return inner_->place(weight); }
  LinearWeight place(const LinearWeight& weight) override { return inner_->place(weight); }
  DType activation_dtype() const override { return inner_->activation_dtype(); }
  DType cache_dtype() const override { return inner_->cache_dtype(); }

 private:
  std::unique_ptr<Backend> inner_;
  std::atomic<bool> counting_ = true;
  mutable std::mutex mutex_;             // guards times_
  std::map<std::string, OpTime> times_;  // by name
};

}  // namespace gallop::ops
