#include "cli/generation_run.h"

#include "base/json.h"

namespace gallop::cli {
namespace {

double milliseconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

Result<std::unique_ptr<GenerationRun>> GenerationRun::start(engine::Generator& generator,
                                                            GenerationRequest request,
                                                            const text::Tokenizer* tokenizer) {
  std::unique_ptr<GenerationRun> run(new GenerationRun(generator, std::move(request), tokenizer));
  const Result<engine::RequestId> id = generator.submit(
      run->request_.request,
      [raw = run.get()](engine::TokenEvent event) { raw->take(std::move(event)); });
  if (!id.ok()) return id.error();
  run->id_ = *id;
  return run;
}

GenerationRun::GenerationRun(engine::Generator& generator, GenerationRequest request,
                             const text::Tokenizer* tokenizer)
    : generator_(generator),
      request_(std::move(request)),
      matcher_(request_.stop),
      submitted_(Clock::now()),
      first_token_(submitted_),
      last_token_(submitted_) {
  if (tokenizer != nullptr) detokenizer_.emplace(*tokenizer, true);
}

GenerationRun::~GenerationRun() {
  if (id_ == 0) return;
  cancel();
  wait();
}

void GenerationRun::cancel() { generator_.cancel(id_); }

// A step's tokens count up to the one that completes a stop string.
void GenerationRun::take(engine::TokenEvent event) {
  const std::lock_guard lock(mutex_);
  if (!matched_ && !event.tokens.empty()) {
    last_token_ = Clock::now();
    if (event.from_prefill) first_token_ = last_token_;
    int32_t gained = 0;
    for (size_t i = 0; i < event.tokens.size() && !matched_; ++i) {
      const bool last = event.finish && i + 1 == event.tokens.size();
      matched_ =
          take_token(event.tokens[i], last, last && *event.finish == engine::FinishReason::kStop);
      ++gained;
    }
    if (!event.from_prefill) accepted_per_step_.push_back(gained);
    if (matched_ && !event.finish) generator_.cancel(event.request);
  }
  if (!event.finish) return;
  if (!matched_) text_ += matcher_.finish();
  const bool stopped = matched_ || *event.finish == engine::FinishReason::kStop;
  finish_reason_ = stopped ? "stop" : "length";
  if (*event.finish == engine::FinishReason::kError) error_ = event.error;
  done_ = true;
  changed_.notify_all();
}

// True when a stop string is complete; none is looked for in the first min_tokens tokens. The token
// that ended the request gives no text.
bool GenerationRun::take_token(int32_t token, bool last, bool stop_token) {
  tokens_.push_back(token);
  if (!detokenizer_) return false;
  std::string piece;
  if (!stop_token) piece = detokenizer_->append(token);
  if (last) piece += detokenizer_->finish();
  if (tokens_.size() <= static_cast<size_t>(request_.request.min_tokens)) {
    text_ += piece;
    return false;
  }
  const text::StopMatcher::Match match = matcher_.append(piece);
  text_ += match.text;
  return match.stopped;
}

void GenerationRun::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return done_; });
}

Result<Json> GenerationRun::json() const {
  if (!error_.empty()) return Error{error_, ErrorCode::kInternal};
  const double decode_ms = milliseconds(last_token_ - first_token_);
  const auto decoded = static_cast<double>(tokens_.size()) - 1;
  const auto steps = static_cast<double>(accepted_per_step_.size());
  return Json{{"prompt_tokens", request_.request.prompt},
              {"tokens", tokens_},
              {"text", text_},
              {"finish_reason", finish_reason_},
              {"seed", request_.request.sampling.seed},
              {"steps", accepted_per_step_.size()},
              {"accepted_per_step", accepted_per_step_},
              {"accepted_length_mean", steps > 0 ? decoded / steps : 0.0},
              {"timings",
               {{"prefill_ms", milliseconds(first_token_ - submitted_)},
                {"decode_ms", decode_ms},
                {"tokens_per_second", decode_ms > 0 ? decoded / decode_ms * 1000 : 0.0}}}};
}

}  // namespace gallop::cli
