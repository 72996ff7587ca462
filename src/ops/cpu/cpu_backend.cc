#include "ops/cpu/cpu_backend.h"

#include <cstring>

#include <fmt/format.h>
#include <sys/mman.h>

#include "base/thread_pool.h"
#include "ops/cpu/cpu_ops.h"

namespace gallop::ops {
namespace {

class CpuBackend : public Backend {
 public:
  explicit CpuBackend(int threads) : pool_(threads) {}

  void run(const Op& op) override {
    std::visit(
        [this](const auto& concrete) {
          validate(concrete);
          run_cpu(concrete, pool_);
        },
        op);
  }

  // Anonymous mappings: zeroed, page-aligned, and real only once touched, so that a large cache
  // costs what is used of it.
  Result<Buffer> allocate(size_t bytes) override {
    if (bytes == 0) return Buffer();
    void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
      return Error{fmt::format("no memory for {} bytes", bytes), ErrorCode::kUnavailable};
    }
    return Buffer(data, bytes, [bytes](void* memory) { ::munmap(memory, bytes); });
  }

  void upload(const TensorView& device, const void* host) override {
    CHECK(device.contiguous());
    std::memcpy(device.data(), host, bytes_of(device));
  }

  void download(void* host, const TensorView& device) override {
    CHECK(device.contiguous());
    std::memcpy(host, device.data(), bytes_of(device));
  }

  Result<void> synchronize() override { return {}; }
  TensorView place(const TensorView& weight) override { return weight; }
  LinearWeight place(const LinearWeight& weight) override { return weight; }
  DType activation_dtype() const override { return DType::kF32; }
  DType cache_dtype() const override { return DType::kF32; }

 private:
  static size_t bytes_of(const TensorView& view) {
    return static_cast<size_t>(view.shape().elements()) * dtype_bytes(view.dtype());
  }

  ThreadPool pool_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads) {
  return std::make_unique<CpuBackend>(threads);
}

}  // namespace gallop::ops
