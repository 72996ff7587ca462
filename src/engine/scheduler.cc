#include "engine/scheduler.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "cache/page_math.h"

namespace gallop::engine {
namespace {

class Planner {
 public:
  Planner(std::span<const SequenceState> sequences, const StepBudget& budget)
      : sequences_(sequences), budget_(budget), pages_(budget.free_pages) {
    std::vector<size_t> order(sequences.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return sequences[a].priority < sequences[b].priority;
    });
    for (const size_t i : order) (sequences[i].running ? running_ : waiting_).push_back(i);
  }

  StepPlan plan() {
    for (size_t place = 0; place < running_.size(); ++place) secure_page(place);
    share_tokens();
    for (const size_t i : running_) run(i);
    if (plan_.preempted.empty()) admit();
    return std::move(plan_);
  }

 private:
  // Each decoding sequence has one row for sure; what drafts, replays and prompts may take beside.
  void share_tokens() {
    int32_t decoding = 0;
    bool prompts = !waiting_.empty() && seats() > 0;
    for (const size_t i : running_) {
      const bool prompt = sequences_[i].kind() == RowKind::kPrompt;
      prompts = prompts || prompt;
      if (!prompt) ++decoding;
    }
    prompt_rows_ = budget_.max_prompt_tokens;
    spare_ = std::max(0, budget_.max_num_batched_tokens - decoding);
    const int32_t beside_prompts =
        std::max({0, budget_.max_num_batched_tokens / 2 - decoding, spare_ - prompt_rows_});
    extra_rows_ = prompts ? beside_prompts : spare_;
  }

  int32_t seats() const {
    return std::min(budget_.max_num_seqs - static_cast<int32_t>(running_.size()),
                    budget_.free_slots);
  }

  // Rows that the tokens of this step allow.
  int32_t wanted_rows(const SequenceState& state) const {
    const int32_t known = state.known_rows();
    switch (state.kind()) {
      case RowKind::kPrompt:
        return std::min({known, prompt_rows_, spare_});
      case RowKind::kReplay:
        return std::min({known, budget_.max_block, 1 + std::min(extra_rows_, spare_)});
      case RowKind::kDecode:
        return std::min({1 + state.drafts, budget_.max_block, 1 + std::min(extra_rows_, spare_)});
    }
    return 0;
  }

  // A page for the next row of each comes before pages for anyone's drafts.
  void secure_page(size_t place) {
    const auto lacks = [&] {
      const SequenceState& state = sequences_[running_[place]];
      return cache::pages_for(state.cached + 1) > state.pages;
    };
    while (place < running_.size() && lacks()) {
      if (pages_ > 0) {
        --pages_;
        return;
      }
      preempt_last();
    }
  }

  void preempt_last() {
    pages_ += sequences_[running_.back()].pages;
    plan_.preempted.push_back(running_.back());
    running_.pop_back();
  }

  void run(size_t i) {
    const SequenceState& state = sequences_[i];
    const bool secured = cache::pages_for(state.cached + 1) > state.pages;
    if (secured) ++pages_;  // its own again
    const int32_t places = (state.pages + pages_) * cache::kPageTokens - state.cached;
    const int32_t rows = std::min(wanted_rows(state), places);
    if (rows > 0) add(i, rows, cache::pages_for(state.cached + rows));
  }

  void admit() {
    int32_t seats = this->seats();
    auto reserve = static_cast<int32_t>(running_.size());
    for (const size_t i : waiting_) {
      const SequenceState& state = sequences_[i];
      const int32_t pages = cache::pages_for(state.tokens + 1);
      const int32_t rows = wanted_rows(state);
      if (seats == 0 || rows == 0 || pages + reserve > pages_) return;
      add(i, rows, pages);
      --seats;
      ++reserve;
    }
  }

  void add(size_t i, int32_t rows, int32_t pages) {
    const SequenceState& state = sequences_[i];
    const RowKind kind = state.kind();
    const int32_t new_pages = std::max(0, pages - state.pages);
    pages_ -= new_pages;
    const int32_t extra = kind == RowKind::kPrompt ? rows : rows - 1;
    spare_ -= extra;
    (kind == RowKind::kPrompt ? prompt_rows_ : extra_rows_) -= extra;
    plan_.sequences.push_back({.sequence = i,
                               .admit = !state.running,
                               .new_pages = new_pages,
                               .kind = kind,
                               .rows = rows,
                               .samples = state.cached + rows >= state.tokens});
  }

  std::span<const SequenceState> sequences_;
  const StepBudget& budget_;
  std::vector<size_t> running_;  // in order; those behind the first were not planned yet
  std::vector<size_t> waiting_;  // in order
  int32_t pages_;                // free
  int32_t spare_ = 0;            // tokens beside one for each decoding sequence
  int32_t extra_rows_ = 0;       // of them, for the decode path
  int32_t prompt_rows_ = 0;      // of them, for prompts
  StepPlan plan_;
};

}  // namespace

StepPlan plan_step(std::span<const SequenceState> sequences, const StepBudget& budget) {
  return Planner(sequences, budget).plan();
}

}  // namespace gallop::engine
