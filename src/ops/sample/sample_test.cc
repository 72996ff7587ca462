#include "ops/sample/sample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "ops/testing/compare.h"
#include "ops/testing/op_case.h"

namespace gallop::ops::testing {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

// One row with its own history and biases.
struct Row {
  std::vector<float> logits;
  SampleOptions options;
  std::vector<int32_t> prompt = {};
  std::vector<int32_t> generated = {};
  std::vector<int32_t> bias_ids = {};
  std::vector<float> bias_values = {};
};

TestTensor option_tensor(const std::vector<SampleOptions>& options) {
  const auto rows = static_cast<int64_t>(options.size());
  TestTensor tensor(DType::kU8, Shape{rows, 64});
  std::memcpy(tensor.view().data(), options.data(), options.size() * sizeof(SampleOptions));
  return tensor;
}

// Lays the rows' lists behind each other and runs one step. Logits at and beyond `vocab_limit` are
// the largest of all: padding must never win.
std::vector<int32_t> sample(const std::vector<Row>& rows, int32_t vocab_limit, int threads = 1) {
  const auto vocab = static_cast<int64_t>(rows.front().logits.size());
  TestTensor logits(DType::kF32, Shape{static_cast<int64_t>(rows.size()), vocab});
  std::vector<SampleOptions> options;
  std::vector<int32_t> history, bias_ids;
  std::vector<float> bias_values;
  for (size_t r = 0; r < rows.size(); ++r) {
    const Row& row = rows[r];
    for (int64_t id = 0; id < vocab; ++id) {
      const double logit = static_cast<double>(row.logits[static_cast<size_t>(id)]);
      logits.set(static_cast<int64_t>(r) * vocab + id, id < vocab_limit ? logit : 1e4);
    }
    options.push_back(row.options);
    SampleOptions& own = options.back();
    own.history_begin = static_cast<int32_t>(history.size());
    history.insert(history.end(), row.prompt.begin(), row.prompt.end());
    own.generated_begin = static_cast<int32_t>(history.size());
    history.insert(history.end(), row.generated.begin(), row.generated.end());
    own.history_end = static_cast<int32_t>(history.size());
    own.bias_begin = static_cast<int32_t>(bias_ids.size());
    bias_ids.insert(bias_ids.end(), row.bias_ids.begin(), row.bias_ids.end());
    bias_values.insert(bias_values.end(), row.bias_values.begin(), row.bias_values.end());
    own.bias_end = static_cast<int32_t>(bias_ids.size());
  }
  const TestTensor tokens(DType::kI32, Shape{static_cast<int64_t>(rows.size())});
  const TestTensor option_rows = option_tensor(options);
  const TestTensor history_tensor = TestTensor::of_ints(history);
  const TestTensor id_tensor = TestTensor::of_ints(bias_ids);
  const TestTensor value_tensor = TestTensor::of_floats(bias_values);
  const TestTensor before = logits;
  run(Sample{.tokens = tokens.view(),
             .logits = logits.view(),
             .options = option_rows.view(),
             .history = history_tensor.view(),
             .bias_ids = id_tensor.view(),
             .bias_values = value_tensor.view(),
             .vocab_limit = vocab_limit},
      threads);
  EXPECT_TRUE(tokens.guards_intact());
  EXPECT_TRUE(same_bits(logits.view(), before.view()));
  std::vector<int32_t> chosen;
  for (const double token : tokens.values()) chosen.push_back(static_cast<int32_t>(token));
  return chosen;
}

int32_t sample_one(const Row& row) {
  return sample({row}, static_cast<int32_t>(row.logits.size())).front();
}

// The contract's steps, each by the most literal means: sets, counts, repeated scans.
class SlowSampler {
 public:
  SlowSampler(const Row& row, int32_t vocab_limit)
      : row_(row), l_(row.logits.begin(), row.logits.begin() + vocab_limit) {}

  int32_t choose() {
    const SampleOptions& o = row_.options;
    bias_and_penalties();
    if (o.temperature == 0) return first_of_largest(l_);
    for (float& l : l_) l = l / o.temperature;
    if (o.min_p > 0) drop_below(largest() + std::log(o.min_p));
    if (o.top_k > 0 && o.top_k < size()) drop_below(kth_largest(o.top_k));
    if (o.top_p < 1) keep_mass(static_cast<double>(o.top_p));
    return gumbel();
  }

 private:
  int32_t size() const { return static_cast<int32_t>(l_.size()); }
  float largest() const { return *std::max_element(l_.begin(), l_.end()); }

  void bias_and_penalties() {
    const SampleOptions& o = row_.options;
    for (size_t i = 0; i < row_.bias_ids.size(); ++i) {
      if (row_.bias_ids[i] < size())
        l_[static_cast<size_t>(row_.bias_ids[i])] += row_.bias_values[i];
    }
    std::set<int32_t> history(row_.prompt.begin(), row_.prompt.end());
    history.insert(row_.generated.begin(), row_.generated.end());
    std::map<int32_t, float> counts;
    for (const int32_t id : row_.generated) counts[id] += 1;
    for (int32_t id = 0; id < size(); ++id) {
      float& l = l_[static_cast<size_t>(id)];
      const float r = o.repetition_penalty;
      if (history.contains(id)) l = l > 0 ? l / r : l * r;
      if (counts.contains(id)) l -= o.presence_penalty + o.frequency_penalty * counts[id];
    }
  }

  static int32_t first_of_largest(const std::vector<float>& values) {
    return static_cast<int32_t>(std::max_element(values.begin(), values.end()) - values.begin());
  }

  void drop_below(float limit) {
    for (float& l : l_) l = l < limit ? kBanned : l;
  }

  float kth_largest(int32_t k) const {
    std::vector<float> sorted = l_;
    std::sort(sorted.rbegin(), sorted.rend());
    return sorted[static_cast<size_t>(k - 1)];
  }

  void keep_mass(double top_p) {
    std::vector<double> mass;
    double total = 0;
    for (const float l : l_) {
      mass.push_back(std::exp(static_cast<double>(l) - static_cast<double>(largest())));
      total += mass.back();
    }
    std::vector<float> rest = l_;
    std::vector<float> kept(l_.size(), kBanned);
    double sum = 0;
    do {  // the largest of the rest, lowest id first
      const auto id = static_cast<size_t>(first_of_largest(rest));
      if (rest[id] == kBanned) break;
      kept[id] = l_[id];
      rest[id] = kBanned;
      sum += mass[id];
    } while (sum < top_p * total);
    l_ = kept;
  }

  int32_t gumbel() const {
    int32_t best = 0;
    double best_key = -std::numeric_limits<double>::infinity();
    for (int32_t id = 0; id < size(); ++id) {
      const double r = counter_uniform(row_.options.seed, row_.options.position, id);
      const double key = static_cast<double>(l_[static_cast<size_t>(id)]) - std::log(-std::log(r));
      if (key > best_key) {
        best = id;
        best_key = key;
      }
    }
    return best;
  }

  const Row& row_;
  std::vector<float> l_;
};

std::vector<int32_t> some_ids(Random& random, int64_t vocab, int64_t most) {
  std::vector<int32_t> ids(static_cast<size_t>(random.below(most + 1)));
  for (int32_t& id : ids) id = static_cast<int32_t>(random.below(vocab));
  return ids;
}

Row random_row(Random& random, int64_t vocab) {
  Row row;
  const bool ties = random.below(3) == 0;
  for (int64_t id = 0; id < vocab; ++id) {
    const double logit = random.normal() * 2;
    row.logits.push_back(static_cast<float>(ties ? std::round(logit) : logit));
  }
  const auto sometimes = [&](double value, double otherwise) {
    return static_cast<float>(random.below(2) == 0 ? value : otherwise);
  };
  row.options = {.seed = static_cast<uint64_t>(random.below(1 << 30)) << random.below(34),
                 .temperature = sometimes(random.uniform(0.1, 2), random.below(3) == 0 ? 0 : 1),
                 .top_p = sometimes(random.uniform(0, 1), 1),
                 .min_p = sometimes(random.uniform(0, 0.3), 0),
                 .presence_penalty = sometimes(random.uniform(-2, 2), 0),
                 .frequency_penalty = sometimes(random.uniform(-2, 2), 0),
                 .repetition_penalty = sometimes(random.uniform(0.5, 2), 1),
                 .top_k = static_cast<int32_t>(random.below(2) * random.below(vocab + 5)),
                 .position = static_cast<int32_t>(random.below(1 << 18))};
  if (random.below(2) == 0) row.prompt = some_ids(random, vocab, 20);
  if (random.below(2) == 0) row.generated = some_ids(random, vocab, 20);
  if (random.below(2) == 0) row.bias_ids = some_ids(random, vocab, 6);
  for (size_t i = 0; i < row.bias_ids.size(); ++i) {
    row.bias_values.push_back(sometimes(random.normal() * 3, -INFINITY));
  }
  return row;
}

TEST(Sample, AgreesWithTheStepsOfTheContract) {
  Random random(1);
  for (int round = 0; round < 400; ++round) {
    const int64_t vocab = 1 + random.below(60);
    const auto limit = static_cast<int32_t>(1 + random.below(vocab));
    std::vector<Row> rows;
    std::vector<int32_t> expected;
    for (int i = 0; i < 17; ++i) {
      rows.push_back(random_row(random, vocab));
      expected.push_back(SlowSampler(rows.back(), limit).choose());
    }
    ASSERT_EQ(sample(rows, limit, 1 + round % 3), expected) << round;
  }
}

// Scores divided by such a number would be infinite.
TEST(Sample, TinyTemperaturesAreNone) {
  Random random(4);
  for (int round = 0; round < 100; ++round) {
    Row row = random_row(random, 40);
    row.options.temperature = 0;
    const int32_t greedy = sample_one(row);
    for (const float tiny : {1e-45f, 1e-40f, 9.9e-6f}) {
      row.options.temperature = tiny;
      EXPECT_EQ(sample_one(row), greedy) << tiny;
    }
  }
}

// Also where the NaN arises from an infinite logit and a ban.
TEST(Sample, NotANumberIsAsGoodAsBanned) {
  Random random(5);
  for (int round = 0; round < 200; ++round) {
    Row broken = random_row(random, 40);
    broken.bias_ids = {};
    broken.bias_values = {};
    Row banned = broken;
    for (const int32_t id : {0, 7, 8, 39}) {
      banned.bias_ids.push_back(id);
      banned.bias_values.push_back(kBanned);
      broken.logits[static_cast<size_t>(id)] = std::nanf("");
    }
    EXPECT_EQ(sample_one(broken), sample_one(banned)) << round;
    banned.logits[7] = INFINITY;
    EXPECT_EQ(sample_one(broken), sample_one(banned)) << round;
  }
}

TEST(Sample, OtherRowsChangeNothing) {
  Random random(2);
  std::vector<Row> rows;
  for (int i = 0; i < 130; ++i) rows.push_back(random_row(random, 40));
  const std::vector<int32_t> together = sample(rows, 37, 3);
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(sample({rows[i]}, 37), std::vector<int32_t>{together[i]});
  }
}

// Pearson's statistic of the draws against the expected shares.
double chi_square(const std::vector<int>& counts, const std::vector<double>& shares, int draws) {
  double statistic = 0;
  for (size_t id = 0; id < counts.size(); ++id) {
    const double expected = shares[id] * draws;
    if (expected == 0) {
      EXPECT_EQ(counts[id], 0) << "dropped token " << id << " was drawn";
      continue;
    }
    statistic += (counts[id] - expected) * (counts[id] - expected) / expected;
  }
  return statistic;
}

constexpr int kDraws = 20000;
// Seven degrees of freedom exceed this with probability 1e-6.
constexpr double kLimit = 40.5;

const std::vector<float> kLogits = {0.3f, -1.2f, 1.9f, 0.0f, 0.3f, -0.5f, 1.1f, -2.0f};

std::vector<double> softmax(double temperature, const std::vector<bool>& kept) {
  std::vector<double> shares;
  double total = 0;
  for (size_t id = 0; id < kLogits.size(); ++id) {
    shares.push_back(kept[id] ? std::exp(static_cast<double>(kLogits[id]) / temperature) : 0);
    total += shares.back();
  }
  for (double& share : shares) share /= total;
  return shares;
}

// Draws with the seed or the position as the counter.
std::vector<int> frequencies(SampleOptions options, bool over_seeds) {
  std::vector<Row> rows;
  for (int i = 0; i < kDraws; ++i) {
    if (over_seeds) {
      options.seed = static_cast<uint64_t>(i);
    } else {
      options.position = i;
    }
    rows.push_back({kLogits, options});
  }
  std::vector<int> counts(kLogits.size(), 0);
  for (const int32_t id : sample(rows, 8)) ++counts[static_cast<size_t>(id)];
  return counts;
}

TEST(Sample, DrawsFollowTheSoftmax) {
  const std::vector<bool> all(8, true);
  for (const bool over_seeds : {true, false}) {
    for (const double temperature : {0.5, 1.0, 3.0}) {
      const SampleOptions options{.seed = 77, .temperature = static_cast<float>(temperature)};
      EXPECT_LT(chi_square(frequencies(options, over_seeds), softmax(temperature, all), kDraws),
                kLimit)
          << temperature << (over_seeds ? " over seeds" : " over positions");
    }
  }
}

TEST(Sample, DrawsFollowTheSoftmaxOfWhatIsKept) {
  // Descending: 2, 6, then 0 and 4 tied, 3, 5, 1, 7.
  const std::vector<bool> four = {true, false, true, false, true, false, true, false};
  const std::vector<bool> three = {true, false, true, false, false, false, true, false};
  const std::vector<double> tied = softmax(1, four), cut = softmax(1, three);
  const SampleOptions top_k{.temperature = 1, .top_k = 3};  // the tie at the edge stays
  EXPECT_LT(chi_square(frequencies(top_k, true), tied, kDraws), kLimit);
  const SampleOptions min_p{.temperature = 1, .min_p = 0.19f};  // 0 and 4 have 0.202 of the best
  EXPECT_LT(chi_square(frequencies(min_p, true), tied, kDraws), kLimit);
  // 2, 6 and 0 hold 0.7387 of the mass, 2 and 6 hold 0.6419: of the tie the lower id comes first.
  const SampleOptions top_p{.temperature = 1, .top_p = 0.7f};
  EXPECT_LT(chi_square(frequencies(top_p, true), cut, kDraws), kLimit);
}

// Draws of neighbouring seeds and positions are independent: pairs follow the product.
TEST(Sample, NeighboursAreIndependent) {
  for (const bool over_seeds : {true, false}) {
    std::vector<Row> rows;
    for (int i = 0; i < kDraws; ++i) {
      SampleOptions options{.seed = 5, .temperature = 1, .position = 9};
      if (over_seeds) options.seed += static_cast<uint64_t>(i);
      if (!over_seeds) options.position += i;
      rows.push_back({{0, 0, 0}, options});
    }
    const std::vector<int32_t> ids = sample(rows, 3);
    std::vector<int> pairs(9, 0);
    for (size_t i = 0; i + 1 < ids.size(); i += 2) {
      ++pairs[static_cast<size_t>(3 * ids[i] + ids[i + 1])];
    }
    EXPECT_LT(chi_square(pairs, std::vector<double>(9, 1.0 / 9), kDraws / 2), kLimit);
  }
}

TEST(Sample, NoiseIsUniformAndKeyedByAllThree) {
  constexpr int kBins = 8;
  std::set<double> distinct;
  std::vector<int> counts(kBins, 0);
  int draws = 0;
  for (const uint64_t seed : {0ull, 1ull, 1ull << 32, ~0ull}) {
    for (int32_t position = 0; position < 70; ++position) {
      for (int32_t token = 0; token < 70; ++token) {
        const double r = counter_uniform(seed, position, token);
        ASSERT_TRUE(r > 0 && r < 1);
        ASSERT_EQ(r, counter_uniform(seed, position, token));
        distinct.insert(r);
        ++counts[static_cast<size_t>(r * kBins)];
        ++draws;
      }
    }
  }
  EXPECT_EQ(static_cast<int>(distinct.size()), draws);
  EXPECT_LT(chi_square(counts, std::vector<double>(kBins, 1.0 / kBins), draws), kLimit);
}

TEST(Sample, TiesGoToTheLowestId) {
  EXPECT_EQ(sample_one({{1, 5, 5, 2}, {}}), 1);
  EXPECT_EQ(sample_one({{1, 5, 5, 2}, {.seed = 3}, {}, {}, {1}, {-INFINITY}}), 2);
}

TEST(Sample, BannedTokensAndPaddingAreNeverChosen) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Row row{{3, 2, 9, 1, 50}, {.seed = seed, .temperature = 5}, {}, {}, {2, 0}, {}};
    row.bias_values = {-INFINITY, -INFINITY};
    const int32_t id = sample({row}, 4).front();
    EXPECT_TRUE(id == 1 || id == 3) << id;
  }
}

TEST(Sample, WhenEverythingIsBannedTheLowestIdComes) {
  for (const float temperature : {0.0f, 1.0f}) {
    Row row{{3, 2, 9}, {.temperature = temperature, .top_p = 0.5f, .min_p = 0.1f, .top_k = 2}};
    row.bias_ids = {0, 1, 2};
    row.bias_values = {-INFINITY, -INFINITY, -INFINITY};
    EXPECT_EQ(sample_one(row), 0);
  }
}

// Alone or beside bans; a single number is still chosen.
TEST(Sample, WithoutANumberThereIsNoToken) {
  const float nan = std::nanf("");
  for (const float temperature : {0.0f, 1.0f}) {
    Row row{{nan, nan, nan}, {.temperature = temperature, .top_p = 0.5f, .top_k = 2}};
    EXPECT_EQ(sample_one(row), kNoToken);
    row.logits = {-INFINITY, nan, 4};
    row.bias_ids = {2};
    row.bias_values = {-INFINITY};
    EXPECT_EQ(sample_one(row), kNoToken);
    row.bias_values = {0};
    EXPECT_EQ(sample_one(row), 2);
  }
}

// top_p 0 keeps one token: the most likely, not the lowest id.
TEST(Sample, TopPKeepsAtLeastOne) {
  EXPECT_EQ(sample_one({{1, 2, 7, 3}, {.seed = 4, .temperature = 1, .top_p = 0}}), 2);
}

// The least temperature there is, and one that counts as 0.
TEST(Sample, TinyTemperaturesGiveTheBest) {
  for (const float temperature : {kLeastTemperature, 1e-30f}) {
    const SampleOptions options{
        .seed = 9, .temperature = temperature, .top_p = 0.9f, .min_p = 0.1f};
    EXPECT_EQ(sample_one({{-3, 2, 7, -1}, options}), 2);
  }
}

TEST(Sample, AbsentListsAreAllowed) {
  const TestTensor logits = TestTensor::of_floats({1.0f, 4.0f, 2.0f});
  const TestTensor options = option_tensor({SampleOptions{}});
  const TestTensor tokens(DType::kI32, Shape{1});
  run(Sample{.tokens = tokens.view(),
             .logits = logits.view().reshaped(Shape{1, 3}),
             .options = options.view(),
             .history = {},
             .bias_ids = {},
             .bias_values = {},
             .vocab_limit = 3});
  EXPECT_EQ(tokens.at(0), 1);
}

}  // namespace
}  // namespace gallop::ops::testing
