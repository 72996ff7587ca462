#include "server/chat_session.h"

#include <algorithm>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "base/split_mix.h"
#include "server/sse.h"

namespace gallop::server {
namespace {

constexpr int kRandomSeedBits = 53;  // JavaScript's clients read numbers as doubles

uint64_t random_bits() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

std::string random_hex() { return fmt::format("{:016x}", random_bits()); }

using Kind = text::OutputPiece::Kind;

}  // namespace

// The index's place in SplitMix64's sequence.
uint64_t choice_seed(uint64_t seed, size_t index) {
  if (index == 0) return seed;
  return split_mix(seed + index * kSplitMixStep);
}

ChatSession::ChatSession(const Context& context, std::shared_ptr<HttpExchange> exchange,
                         std::string request_id, std::function<void()> done)
    : context_(context),
      exchange_(std::move(exchange)),
      named_by_headers_(!request_id.empty()),
      request_id_(named_by_headers_ ? std::move(request_id) : random_hex()),
      done_(std::move(done)) {}

void ChatSession::fail(const ApiError& error) {
  if (ended_) return;
  cancel_choices();
  if (streaming_) {
    if (!write(sse_event(error_json(error)) + sse_done())) return;
    exchange_->end_stream();
  } else {
    HttpResponse response = error_response(error);
    response.headers.emplace_back("X-Request-Id", request_id_);
    exchange_->respond(std::move(response));
  }
  end();
}

void ChatSession::abandon() {
  if (ended_) return;
  cancel_choices();
  end();
}

void ChatSession::start(PreparedChat prepared, ReplyHead head) {
  if (ended_) return;
  chat_ = std::move(prepared);
  head_ = std::move(head);
  const ChatRequest& request = chat_.request;
  if (!named_by_headers_ && !request.request_id.empty()) request_id_ = request.request_id;
  head_.id = "chatcmpl-" + request_id_;
  seed_ = request.seed.value_or(random_bits() >> (64 - kRandomSeedBits));
  const ChoiceDecoderOptions options{
      request.skip_special_tokens,
      request.stop,
      request.include_stop,
      request.engine.min_tokens,
      {chat_.starts_in_reasoning, request.parse_tools, request.tools, chat_.tool_form}};
  for (int32_t i = 0; i < request.n; ++i) {
    choices_.emplace_back(ChoiceDecoder(context_.tokenizer, options));
  }
  for (size_t i = 0; i < choices_.size(); ++i) {
    if (!submit(i)) return;
  }
  if (!request.stream) return;
  HttpResponse stream = sse_head();
  stream.headers.emplace_back("X-Request-Id", request_id_);
  exchange_->begin_stream(std::move(stream));
  streaming_ = true;
}

// The engine may send events before submit() returns; they wait in the I/O thread's queue.
bool ChatSession::submit(size_t index) {
  engine::Request request = chat_.request.engine;
  request.prompt = chat_.prompt;
  request.drafts = context_.drafts;
  request.sampling.seed = choice_seed(seed_, index);
  auto sink = [poster = context_.poster, weak = weak_from_this(), index](engine::TokenEvent event) {
    poster([weak, index, event = std::move(event)] {
      if (const auto session = weak.lock()) session->on_event(index, event);
    });
  };
  const Result<engine::RequestId> id =
      context_.generator.submit(std::move(request), std::move(sink));
  if (!id.ok()) {
    fail(to_api_error(id.error()));
    return false;
  }
  choices_[index].engine_id = *id;
  choices_[index].submitted = true;
  return true;
}

void ChatSession::on_event(size_t index, const engine::TokenEvent& event) {
  Choice& choice = choices_[index];
  if (ended_ || choice.finished) return;
  if (event.finish == engine::FinishReason::kError) {
    fail({500, event.error, "InternalServerError", {}});
    return;
  }
  if (event.finish == engine::FinishReason::kCancelled) {
    fail({503, "The request was cancelled by the server.", "ServiceUnavailableError", {}});
    return;
  }
  ChoiceDecoder::Pieces pieces;
  take_tokens(choice, event, pieces);
  if (streaming_) {
    send(index, pieces);
  } else {
    collect(choice, pieces);
  }
  if (ended_) return;
  const bool all =
      std::all_of(choices_.begin(), choices_.end(), [](const Choice& one) { return one.finished; });
  if (all) complete();
}

void ChatSession::take_tokens(Choice& choice, const engine::TokenEvent& event,
                              ChoiceDecoder::Pieces& pieces) {
  const bool stop_token = event.finish == engine::FinishReason::kStop;
  for (size_t i = 0; i < event.tokens.size(); ++i) {
    const int32_t token = event.tokens[i];
    const bool hidden = !chat_.request.include_reasoning && choice.decoder.in_reasoning();
    if (chat_.request.return_token_ids && !hidden) choice.new_ids.push_back(token);
    if (stop_token && i + 1 == event.tokens.size()) {
      choice.decoder.add_stop_token();
      continue;
    }
    choice.decoder.add(token, pieces);
    if (!choice.decoder.stopped()) continue;
    if (!event.finish) context_.generator.cancel(choice.engine_id);
    finish_choice(choice, "stop", choice.decoder.stop_string());
    return;
  }
  if (!event.finish) return;
  choice.decoder.finish(pieces);
  if (choice.decoder.stopped()) {
    finish_choice(choice, "stop", choice.decoder.stop_string());
    return;
  }
  Json stop_reason = nullptr;
  const std::vector<int32_t>& stops = chat_.request.engine.stop_token_ids;
  if (stop_token && !event.tokens.empty() &&
      std::find(stops.begin(), stops.end(), event.tokens.back()) != stops.end()) {
    stop_reason = event.tokens.back();
  }
  finish_choice(choice, stop_token ? "stop" : "length", std::move(stop_reason));
}

void ChatSession::finish_choice(Choice& choice, std::string reason, Json stop_reason) {
  choice.finished = true;
  if (reason == "stop" && choice.decoder.tool_calls() > 0) reason = "tool_calls";
  choice.reply.finish_reason = std::move(reason);
  choice.reply.stop_reason = std::move(stop_reason);
}

bool ChatSession::visible(const text::OutputPiece& piece) const {
  if (piece.kind == Kind::kReasoning) return chat_.request.include_reasoning;
  return piece.tool_index <= 0 || chat_.request.parallel_tool_calls;
}

void ChatSession::collect(Choice& choice, const ChoiceDecoder::Pieces& pieces) {
  for (const text::OutputPiece& piece : pieces) {
    if (!visible(piece)) continue;
    switch (piece.kind) {
      case Kind::kReasoning:
        choice.reply.reasoning += piece.text;
        break;
      case Kind::kContent:
        choice.reply.content += piece.text;
        break;
      case Kind::kToolName:
        choice.reply.tool_calls.push_back({tool_id(choice, piece.tool_index), piece.text, ""});
        break;
      case Kind::kToolArguments:
        choice.reply.tool_calls.back().arguments += piece.text;
        break;
    }
  }
  auto& ids = choice.reply.token_ids;
  ids.insert(ids.end(), choice.new_ids.begin(), choice.new_ids.end());
  choice.new_ids.clear();
}

// Everything one event gives goes out in one write.
void ChatSession::send(size_t index, const ChoiceDecoder::Pieces& pieces) {
  Choice& choice = choices_[index];
  std::string out;
  if (!choice.begun) {
    choice.begun = true;
    out += chunk(index, {{"role", "assistant"}, {"content", ""}}, nullptr);
  }
  for (const text::OutputPiece& piece : pieces) {
    if (visible(piece)) out += chunk(index, delta_of(choice, piece), nullptr);
  }
  if (choice.finished) out += chunk(index, {{"content", ""}}, choice.reply.finish_reason);
  write(out);
}

bool ChatSession::write(std::string_view bytes) {
  const std::shared_ptr<HttpExchange> exchange = exchange_;  // the session may drop its own
  exchange->write(bytes);
  return !ended_;
}

std::string ChatSession::chunk(size_t index, Json delta, Json finish_reason) {
  Choice& choice = choices_[index];
  const bool last = !finish_reason.is_null();
  Json json =
      chat_chunk(head_, static_cast<int32_t>(index), std::move(delta), std::move(finish_reason));
  Json& body = json["choices"][0];
  if (last) body["stop_reason"] = choice.reply.stop_reason;
  if (chat_.request.return_token_ids) {
    body["token_ids"] = std::exchange(choice.new_ids, {});
    if (!std::exchange(prompt_ids_sent_, true)) json["prompt_token_ids"] = chat_.prompt;
  }
  if (chat_.request.continuous_usage) json["usage"] = usage_json(usage());
  return sse_event(json);
}

Json ChatSession::delta_of(Choice& choice, const text::OutputPiece& piece) {
  Json delta;
  switch (piece.kind) {
    case Kind::kReasoning:
      delta["reasoning"] = piece.text;
      delta["reasoning_content"] = piece.text;
      return delta;
    case Kind::kContent:
      delta["content"] = piece.text;
      return delta;
    case Kind::kToolName:
    case Kind::kToolArguments:
      break;
  }
  Json call;
  call["index"] = piece.tool_index;
  if (piece.kind == Kind::kToolName) {
    call["id"] = tool_id(choice, piece.tool_index);
    call["type"] = "function";
    call["function"]["name"] = piece.text;
    call["function"]["arguments"] = "";
  } else {
    call["function"]["arguments"] = piece.text;
  }
  delta["tool_calls"] = Json::array({std::move(call)});
  return delta;
}

const std::string& ChatSession::tool_id(Choice& choice, int32_t tool_index) {
  const auto wanted = static_cast<size_t>(tool_index);
  while (choice.tool_ids.size() <= wanted) {
    choice.tool_ids.push_back("chatcmpl-tool-" + random_hex());
  }
  return choice.tool_ids[wanted];
}

Usage ChatSession::usage() const {
  Usage usage{static_cast<int64_t>(chat_.prompt.size()), 0, 0};
  for (const Choice& choice : choices_) {
    usage.completion_tokens += choice.decoder.tokens();
    usage.reasoning_tokens += choice.decoder.reasoning_tokens();
  }
  return usage;
}

void ChatSession::complete() {
  if (streaming_) {
    std::string out;
    if (chat_.request.include_usage) out += sse_event(usage_chunk(head_, usage()));
    if (!write(out + sse_done())) return;
    exchange_->end_stream();
    end();
    return;
  }
  std::vector<ChoiceReply> replies;
  for (Choice& choice : choices_) replies.push_back(std::move(choice.reply));
  const auto* ids = chat_.request.return_token_ids ? &chat_.prompt : nullptr;
  HttpResponse response =
      json_response(chat_reply(head_, replies, usage(), chat_.request, ids, seed_));
  response.headers.emplace_back("X-Request-Id", request_id_);
  exchange_->respond(std::move(response));
  end();
}

void ChatSession::end() {
  ended_ = true;
  const auto self = shared_from_this();  // `done` drops the owner's reference
  exchange_ = nullptr;
  if (const auto done = std::exchange(done_, nullptr)) done();
}

void ChatSession::cancel_choices() {
  for (const Choice& choice : choices_) {
    if (choice.submitted && !choice.finished) context_.generator.cancel(choice.engine_id);
  }
}

}  // namespace gallop::server
