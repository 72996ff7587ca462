#include "model/activations.h"

#include <algorithm>

namespace gallop::model {
namespace {

// Widths in elements; the names of the fields of Activations. 0: not used by this model.
struct Widths {
  int64_t hidden = 0;
  int64_t projected = 0;
  int64_t convolved = 0;
  int64_t q = 0;
  int64_t k = 0;
  int64_t mixed = 0;
  int64_t intermediate = 0;
};

Result<Activations> allocate(const Widths& widths, int64_t rows, ops::Backend& backend) {
  Arena arena;
  const auto reserve = [&](int64_t width) {
    return arena.reserve(backend.activation_dtype(), {rows, width});
  };
  const size_t residual = reserve(widths.hidden);
  const size_t normed = reserve(widths.hidden);
  const size_t delta = reserve(widths.hidden);
  const size_t projected = reserve(widths.projected);
  const size_t convolved = reserve(widths.convolved);
  const size_t q = reserve(widths.q);
  const size_t k = reserve(widths.k);
  const size_t mixed = reserve(widths.mixed);
  const size_t gate_up = reserve(2 * widths.intermediate);
  const size_t mlp = reserve(widths.intermediate);
  ASSIGN_OR_RETURN(Buffer memory, backend.allocate(arena.bytes()));
  const auto place = [&](size_t number) { return arena.place(number, memory); };
  return Activations{.residual = place(residual),
                     .normed = place(normed),
                     .delta = place(delta),
                     .projected = place(projected),
                     .convolved = place(convolved),
                     .q = place(q),
                     .k = place(k),
                     .mixed = place(mixed),
                     .gate_up = place(gate_up),
                     .mlp = place(mlp),
                     .memory = std::move(memory)};
}

}  // namespace

Activations Activations::first_rows(int64_t rows) const {
  return {.residual = residual.rows(0, rows),
          .normed = normed.rows(0, rows),
          .delta = delta.rows(0, rows),
          .projected = projected.rows(0, rows),
          .convolved = convolved.rows(0, rows),
          .q = q.rows(0, rows),
          .k = k.rows(0, rows),
          .mixed = mixed.rows(0, rows),
          .gate_up = gate_up.rows(0, rows),
          .mlp = mlp.rows(0, rows),
          .memory = {}};
}

Result<Activations> allocate_activations(const ModelConfig& config, int64_t rows,
                                         ops::Backend& backend) {
  const int64_t q = config.q_heads * config.head_dim;
  const int64_t k = config.kv_heads * config.head_dim;
  const int64_t v = config.v_heads * config.v_dim;
  const int64_t gdn = config.conv_channels() + v + 2 * config.v_heads;
  return allocate({.hidden = config.hidden,
                   .projected = std::max(2 * q + 2 * k, gdn),
                   .convolved = config.conv_channels(),
                   .q = q,
                   .k = k,
                   .mixed = std::max(q, v),
                   .intermediate = config.intermediate},
                  rows, backend);
}

Result<Activations> allocate_activations(const DrafterConfig& config, int64_t rows,
                                         ops::Backend& backend) {
  const int64_t q = config.q_heads * config.head_dim;
  const int64_t k = config.kv_heads * config.head_dim;
  return allocate({.hidden = config.hidden,
                   .projected = q + 2 * k,
                   .q = q,
                   .k = k,
                   .mixed = q,
                   .intermediate = config.intermediate},
                  rows, backend);
}

}  // namespace gallop::model
