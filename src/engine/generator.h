// The waist between text and tokens: what the server and the commands see of the engine.
#pragma once

#include <functional>

#include "base/result.h"
#include "engine/request.h"

namespace gallop::engine {

// Called on the engine thread, once per step and request; it must hand over and return at once
// (post to another thread's queue) and never block. Of the generator it may call cancel() alone.
using EventSink = std::function<void(TokenEvent)>;

class Generator {
 public:
  virtual ~Generator() = default;

  // Queues a request and returns its id at once; an Error when the request can never run (empty
  // prompt, ids outside the vocabulary, prompt longer than the context, options out of range, more
  // drafts than the drafter's block allows, queue full: kUnavailable). Safe from any thread.
  virtual Result<RequestId> submit(Request request, EventSink sink) = 0;

  // Ends a request at the next step boundary with FinishReason::kCancelled; unknown or finished ids
  // are ignored. Safe from any thread.
  virtual void cancel(RequestId request) = 0;

  // Prompt and generated tokens of one request together are at most this many.
  virtual int32_t max_model_len() const = 0;

  // The most drafts a request may ask for: the drafter's block size - 1; 0 without a drafter.
  virtual int32_t max_drafts() const = 0;

  // False once the engine thread has ended or failed.
  virtual bool healthy() const = 0;
};

}  // namespace gallop::engine
