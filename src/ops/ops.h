// The list of operations: what a model may ask of a backend. The structs are the interface; each
// backend (ops/cpu) is an interpreter of the same list.
#pragma once

#include <variant>

#include "ops/activation/activation.h"
#include "ops/attention/attention.h"
#include "ops/conv1d/conv1d.h"
#include "ops/embed/embed.h"
#include "ops/gdn/gdn.h"
#include "ops/kv_write/kv_write.h"
#include "ops/linear/linear.h"
#include "ops/norm/norm.h"
#include "ops/rope/rope.h"
#include "ops/rows/rows.h"
#include "ops/sample/sample.h"
#include "ops/verify/verify.h"

namespace gallop::ops {

using Op = std::variant<EmbedRows, RmsNorm, AddRmsNorm, GatedRmsNorm, Linear, SiluMul, SigmoidMul,
                        NormRope, KvWrite, PagedAttention, CausalConv1d, GdnUpdate, GatherRows,
                        CopyRows, Sample, AcceptDrafts>;

}  // namespace gallop::ops
