// The CPU interpreter's list: one plain function per operation, defined in the operation's folder.
// Activations, caches and states are F32 here; results depend on neither threads nor other rows.
#pragma once

#include "base/thread_pool.h"
#include "ops/ops.h"

namespace gallop::ops {

void run_cpu(const EmbedRows& op, ThreadPool& pool);
void run_cpu(const RmsNorm& op, ThreadPool& pool);
void run_cpu(const AddRmsNorm& op, ThreadPool& pool);
void run_cpu(const GatedRmsNorm& op, ThreadPool& pool);
void run_cpu(const Linear& op, ThreadPool& pool);
void run_cpu(const SiluMul& op, ThreadPool& pool);
void run_cpu(const SigmoidMul& op, ThreadPool& pool);
void run_cpu(const NormRope& op, ThreadPool& pool);
void run_cpu(const KvWrite& op, ThreadPool& pool);
void run_cpu(const PagedAttention& op, ThreadPool& pool);
void run_cpu(const CausalConv1d& op, ThreadPool& pool);
void run_cpu(const GdnUpdate& op, ThreadPool& pool);
void run_cpu(const GatherRows& op, ThreadPool& pool);
void run_cpu(const CopyRows& op, ThreadPool& pool);
void run_cpu(const Sample& op, ThreadPool& pool);
void run_cpu(const AcceptDrafts& op, ThreadPool& pool);

}  // namespace gallop::ops
