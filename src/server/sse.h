// Server-sent events as OpenAI's clients read them.
#pragma once

#include <string>

#include "base/json.h"
#include "server/http_message.h"

namespace gallop::server {

inline std::string sse_event(const Json& data) { return "data: " + dump_json(data) + "\n\n"; }

inline std::string sse_done() { return "data: [DONE]\n\n"; }

// The head of an event stream; no proxy may hold it back.
inline HttpResponse sse_head() {
  HttpResponse response;
  response.content_type = "text/event-stream; charset=utf-8";
  response.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  return response;
}

}  // namespace gallop::server
