// Moves loaded weights to where a backend can use them; on the CPU they stay where they are.
#pragma once

#include "model/weights.h"
#include "ops/backend.h"

namespace gallop::model {

ModelWeights place_weights(const ModelWeights& weights, ops::Backend& backend);
DrafterWeights place_weights(const DrafterWeights& weights, ops::Backend& backend);

}  // namespace gallop::model
