// The CPU backend behind a wrapper that forwards everything: a test overrides what it disturbs.
#pragma once

#include <memory>

#include "ops/cpu/cpu_backend.h"

namespace gallop::ops {

class WrappedCpu : public Backend {
 public:
  void run(const Op& op) override { cpu_->run(op); }
  Result<Buffer> allocate(size_t bytes) override { return cpu_->allocate(bytes); }
  void upload(const TensorView& device, const void* host) override { cpu_->upload(device, host); }
  void download(void* host, const TensorView& device) override { cpu_->download(host, device); }
  Result<void> synchronize() override { return cpu_->synchronize(); }
  TensorView place(const TensorView& weight) override { return cpu_->place(weight); }
  LinearWeight place(const LinearWeight& weight) override { return cpu_->place(weight); }
  DType activation_dtype() const override { return cpu_->activation_dtype(); }
  DType cache_dtype() const override { return cpu_->cache_dtype(); }

 private:
  std::unique_ptr<Backend> cpu_ = make_cpu_backend(1);
};

}  // namespace gallop::ops
