// What a request is made of, a generation_config.json and the body of a chat request: any JSON
// either gives a request whose messages are in the templates' form, or an error that a client is
// told.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/json.h"
#include "server/api_error.h"
#include "server/chat_messages.h"
#include "server/openai_types.h"
#include "server/sampling_defaults.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr int32_t kVocab = 1000;
  const auto body = gallop::parse_json(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!body.ok()) return 0;
  const auto defaults = gallop::server::parse_sampling_defaults(*body);
  if (defaults.ok()) CHECK(defaults->temperature >= 0 && defaults->top_p > 0);
  auto request = gallop::server::parse_chat_request(*body, {}, kVocab);
  if (!request.ok()) {
    CHECK(!request.error().message.empty());
    const int status = gallop::server::to_api_error(request.error()).status;
    CHECK(status == 400 || status == 501);
    return 0;
  }
  CHECK(request->n >= 1 && !request->messages.empty());
  for (const auto& [id, bias] : request->engine.sampling.logit_bias) CHECK(id >= 0 && id < kVocab);
  // What is in the templates' form stays as it is.
  const auto again = gallop::server::convert_messages(request->messages);
  CHECK(again.ok() && *again == request->messages);
  gallop::server::rename_developer(request->messages);
  return 0;
}
