#include "ops/cpu/cpu_ops.h"

namespace gallop::ops {

void run_cpu(const AcceptDrafts& op, ThreadPool&) {
  const int32_t* ids = op.ids.as<const int32_t>();
  const int32_t* chosen = op.chosen.as<const int32_t>();
  for (int64_t block = 0; block < op.block_rows.extent(0); ++block) {
    const int32_t begin = op.block_rows.row<const int32_t>(block)[0];
    const int32_t rows = op.block_rows.row<const int32_t>(block)[1];
    CHECK(begin >= 0 && rows >= 1 && begin + rows <= op.ids.extent(0));
    int32_t accepted = 0;
    while (accepted + 1 < rows && ids[begin + accepted + 1] == chosen[begin + accepted]) ++accepted;
    op.accepted.as<int32_t>()[block] = accepted;
  }
}

}  // namespace gallop::ops
