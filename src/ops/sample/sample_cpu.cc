#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ops/cpu/cpu_ops.h"
#include "ops/cpu/simd.h"

namespace gallop::ops {
namespace {

constexpr float kDropped = -std::numeric_limits<float>::infinity();

const SampleOptions& options_of(const Sample& op, int64_t row) {
  return *reinterpret_cast<const SampleOptions*>(op.options.row<const uint8_t>(row));
}

void add_bias(const Sample& op, const SampleOptions& options, std::vector<float>& scores) {
  for (int32_t i = options.bias_begin; i < options.bias_end; ++i) {
    const int32_t id = op.bias_ids.as<const int32_t>()[i];
    if (id < op.vocab_limit) {
      scores[static_cast<size_t>(id)] += op.bias_values.as<const float>()[i];
    }
  }
}

void penalise(const Sample& op, const SampleOptions& options, std::vector<float>& scores) {
  if (options.history_begin == options.history_end) return;
  const int32_t* history = op.history.as<const int32_t>();
  std::unordered_set<int32_t> seen;
  std::unordered_map<int32_t, int32_t> generated;
  for (int32_t i = options.history_begin; i < options.history_end; ++i) {
    if (history[i] >= op.vocab_limit) continue;
    seen.insert(history[i]);
    if (i >= options.generated_begin) ++generated[history[i]];
  }
  for (const int32_t id : seen) {
    float& score = scores[static_cast<size_t>(id)];
    score = score > 0 ? score / options.repetition_penalty : score * options.repetition_penalty;
  }
  for (const auto& [id, count] : generated) {
    scores[static_cast<size_t>(id)] -=
        options.presence_penalty + options.frequency_penalty * static_cast<float>(count);
  }
}

void keep_min_p(float min_p, std::vector<float>& scores) {
  if (min_p <= 0) return;
  const float limit = *std::max_element(scores.begin(), scores.end()) + std::log(min_p);
  for (float& score : scores) {
    if (score < limit) score = kDropped;
  }
}

void keep_top_k(int32_t top_k, std::vector<float>& scores) {
  if (top_k <= 0 || static_cast<size_t>(top_k) >= scores.size()) return;
  std::vector<float> sorted = scores;
  std::nth_element(sorted.begin(), sorted.begin() + (top_k - 1), sorted.end(), std::greater<>());
  const float limit = sorted[static_cast<size_t>(top_k - 1)];
  for (float& score : scores) {
    if (score < limit) score = kDropped;
  }
}

void keep_top_p(float top_p, std::vector<float>& scores) {
  if (top_p >= 1) return;
  std::vector<int32_t> order;
  for (size_t id = 0; id < scores.size(); ++id) {
    if (scores[id] != kDropped) order.push_back(static_cast<int32_t>(id));
  }
  const auto score_of = [&](int32_t id) { return scores[static_cast<size_t>(id)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t left, int32_t right) { return score_of(left) > score_of(right); });
  if (order.empty()) return;
  const double best = score_of(order.front());
  double total = 0;
  for (const int32_t id : order) total += std::exp(score_of(id) - best);
  double mass = 0;
  for (const int32_t id : order) {
    if (mass > 0 && mass >= top_p * total) {
      scores[static_cast<size_t>(id)] = kDropped;
    } else {
      mass += std::exp(score_of(id) - best);
    }
  }
}

int32_t draw(const SampleOptions& options, const std::vector<float>& scores) {
  int32_t best = -1;
  double best_key = 0;
  for (size_t id = 0; id < scores.size(); ++id) {
    if (scores[id] == kDropped) continue;
    const double uniform =
        counter_uniform(options.seed, options.position, static_cast<int32_t>(id));
    const double key = scores[id] - std::log(-std::log(uniform));
    if (best < 0 || key > best_key) {
      best = static_cast<int32_t>(id);
      best_key = key;
    }
  }
  return std::max(best, 0);
}

bool is_nan(float score) { return std::isnan(score); }

int32_t choose(const Sample& op, int64_t row) {
  const SampleOptions& options = options_of(op, row);
  const float* logits = op.logits.row<const float>(row);
  std::vector<float> scores(logits, logits + op.vocab_limit);
  add_bias(op, options, scores);
  penalise(op, options, scores);
  const auto best = static_cast<int32_t>(simd::argmax(scores.data(), op.vocab_limit));
  if (!(scores[static_cast<size_t>(best)] > kDropped)) {
    return std::any_of(scores.begin(), scores.end(), is_nan) ? kNoToken : 0;
  }
  if (options.temperature < kLeastTemperature) return best;
  std::replace_if(scores.begin(), scores.end(), is_nan, kDropped);
  for (float& score : scores) score /= options.temperature;
  keep_min_p(options.min_p, scores);
  keep_top_k(options.top_k, scores);
  keep_top_p(options.top_p, scores);
  return draw(options, scores);
}

}  // namespace

void run_cpu(const Sample& op, ThreadPool& pool) {
  pool.parallel_for(op.logits.extent(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) op.tokens.as<int32_t>()[row] = choose(op, row);
  });
}

}  // namespace gallop::ops
