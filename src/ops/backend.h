// Where operations run and where their memory lies. Implemented once per device kind and wrapped by
// decorators (trace, timing, fault injection); models and engine know nothing else of a device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "ops/ops.h"
#include "tensor/buffer.h"
#include "tensor/tensor_view.h"

namespace gallop::ops {

class Backend {
 public:
  virtual ~Backend() = default;

  // Queues one operation; operations take effect in the order of their calls. Shapes that do not
  // agree are a CHECK.
  virtual void run(const Op& op) = 0;

  // Device memory, zeroed, aligned to 64 bytes or more; kUnavailable when there is not enough.
  virtual Result<Buffer> allocate(size_t bytes) = 0;

  // Copies between host memory and a contiguous device tensor of the same size, in order with the
  // operations. The host side of an upload may be reused at once; a download is complete after
  // synchronize().
  virtual void upload(const TensorView& device, const void* host) = 0;
  virtual void download(void* host, const TensorView& device) = 0;

  // Returns when everything queued is done; an error when the device failed.
  virtual Result<void> synchronize() = 0;

  // A weight where this device can use it: the host view itself where host memory is device memory,
  // else a packed copy that the backend owns.
  virtual TensorView place(const TensorView& weight) = 0;
  virtual LinearWeight place(const LinearWeight& weight) = 0;

  // What the activations and the key-value cache of a model on this device are made of.
  virtual DType activation_dtype() const = 0;
  virtual DType cache_dtype() const = 0;
};

}  // namespace gallop::ops
