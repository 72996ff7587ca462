#include "model/blocks.h"

namespace gallop::model {

void run_mlp_block(ops::Backend& backend, const MlpWeights& weights,
                   const Activations& activations) {
  backend.run(
      ops::Linear{.out = activations.gate_up, .x = activations.normed, .weight = &weights.gate_up});
  backend.run(ops::SiluMul{.out = activations.mlp, .gate_up = activations.gate_up});
  backend.run(ops::Linear{.out = activations.delta, .x = activations.mlp, .weight = &weights.down});
}

}  // namespace gallop::model
