#include "server/chat_service.h"

#include <algorithm>
#include <ctime>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"
#include "base/json.h"
#include "server/api_error.h"
#include "server/chat_messages.h"

namespace gallop::server {
namespace {

bool is_json_type(std::string_view content_type) {
  constexpr std::string_view kJsonType = "application/json";
  std::string lower = lower_case(content_type.substr(0, content_type.find(';')));
  while (lower.ends_with(' ') || lower.ends_with('\t')) lower.pop_back();
  return lower == kJsonType;
}

std::string request_id_of(const HttpRequest& request) {
  const std::string_view given = request.header("x-request-id");
  return std::string(given.size() > kMaxRequestIdBytes ? std::string_view() : given);
}

// The generation prompt of a thinking model opens the reasoning itself.
bool ends_in_think(std::string_view prompt) {
  const size_t last = prompt.find_last_not_of(" \t\r\n");
  return last != std::string_view::npos && prompt.substr(0, last + 1).ends_with("<think>");
}

}  // namespace

Result<ChatModel> ChatModel::load(const std::filesystem::path& directory) {
  ASSIGN_OR_RETURN(text::Tokenizer tokenizer, text::Tokenizer::load(directory));
  ASSIGN_OR_RETURN(text::ChatTemplate chat_template, text::ChatTemplate::load(directory));
  ASSIGN_OR_RETURN(const SamplingDefaults defaults, load_sampling_defaults(directory));
  return ChatModel{std::move(tokenizer), std::move(chat_template), defaults};
}

ChatService::ChatService(const ChatModel& model, engine::Generator& generator, Poster poster,
                         Options options)
    : model_(model),
      generator_(generator),
      poster_(std::move(poster)),
      options_(std::move(options)) {
  CHECK(!options_.model_names.empty());
}

void ChatService::handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
  if (!accepting_) {
    exchange->respond(error_response(http_error(503, "The server is shutting down.")));
    return;
  }
  if (!is_json_type(request.header("content-type"))) {
    exchange->respond(error_response(
        http_error(400, "Unsupported Media Type: Only 'application/json' is allowed")));
    return;
  }
  const std::string_view coding = request.header("content-encoding");
  if (!coding.empty() && coding != "identity") {
    HttpResponse response = error_response(http_error(
        415,
        fmt::format("Content-Encoding '{}' is not accepted: send the body as it is.", coding)));
    response.headers.emplace_back("Accept-Encoding", "identity");
    exchange->respond(std::move(response));
    return;
  }
  const uint64_t number = next_number_++;
  const ChatSession::Context context{model_.tokenizer, generator_, poster_, options_.drafts};
  auto session = std::make_shared<ChatSession>(context, exchange, request_id_of(request),
                                               [this, number] { forget(number); });
  sessions_.emplace(number, session);
  std::weak_ptr<ChatSession> weak = session;
  exchange->on_gone([weak] {
    if (const auto gone = weak.lock()) gone->abandon();
  });
  worker_.run([this, weak, body = std::move(request.body), lease = std::move(request.body_lease)] {
    if (weak.expired()) return;
    Result<PreparedChat> prepared = prepare(body);
    poster_([this, weak, prepared = std::move(prepared)] {
      if (const auto waiting = weak.lock()) start(waiting, prepared);
    });
  });
}

// On the worker thread.
Result<PreparedChat> ChatService::prepare(const std::string& body) const try {
  const Result<Json> json = parse_json(body);
  if (!json.ok()) return form_error("", "The body: " + json.error().message + ".");
  PreparedChat chat;
  ASSIGN_OR_RETURN(chat.request,
                   parse_chat_request(*json, model_.defaults, model_.tokenizer.vocab_limit()));
  const std::vector<std::string>& names = options_.model_names;
  const std::string& model = chat.request.model;
  if (!model.empty() && std::find(names.begin(), names.end(), model) == names.end()) {
    return Error{fmt::format("The model `{}` does not exist.", model), ErrorCode::kNotFound,
                 "model"};
  }
  const std::string& source = model_.chat_template.source(!chat.request.tools.is_null());
  if (source.find("developer") == std::string::npos) rename_developer(chat.request.messages);
  const Result<std::string> prompt = model_.chat_template.render(
      {chat.request.messages, chat.request.tools, chat.request.template_kwargs});
  if (!prompt.ok()) {
    return Error{prompt.error().message, ErrorCode::kInvalidInput, prompt.error().param};
  }
  chat.request.messages = nullptr;  // they may be as large as the body, whose lease ends here
  ASSIGN_OR_RETURN(chat.prompt, model_.tokenizer.encode(*prompt, false));
  chat.tool_form = text::tool_form_of(source);
  chat.starts_in_reasoning = ends_in_think(*prompt);
  set_max_tokens(chat);
  return chat;
} catch (const std::exception& error) {  // out of memory for one request's data
  return Error{fmt::format("The request could not be prepared: {}.", error.what()),
               ErrorCode::kInternal};
}

// Where the request names no length of the answer: what the context leaves, or the model's own. A
// prompt that leaves nothing is the engine's to refuse.
void ChatService::set_max_tokens(PreparedChat& chat) const {
  int32_t& max_tokens = chat.request.engine.max_tokens;
  if (max_tokens > 0) return;
  const int32_t room = generator_.max_model_len() - static_cast<int32_t>(chat.prompt.size());
  if (room > 0) max_tokens = std::min(room, model_.defaults.max_new_tokens.value_or(room));
}

void ChatService::start(const std::shared_ptr<ChatSession>& session,
                        Result<PreparedChat> prepared) {
  if (!prepared.ok()) {
    session->fail(to_api_error(prepared.error()));
    return;
  }
  ReplyHead head{{}, options_.model_names.front(), static_cast<int64_t>(std::time(nullptr))};
  session->start(std::move(*prepared), std::move(head));
}

void ChatService::forget(uint64_t number) {
  sessions_.erase(number);
  if (!accepting_ && sessions_.empty()) {
    if (const auto drained = std::exchange(drained_, nullptr)) drained();
  }
}

void ChatService::stop_accepting(std::function<void()> drained) {
  accepting_ = false;
  drained_ = std::move(drained);
  if (!sessions_.empty()) return;
  if (const auto now = std::exchange(drained_, nullptr)) now();
}

void ChatService::abort_all() {
  std::vector<std::shared_ptr<ChatSession>> open;
  for (const auto& [number, session] : sessions_) open.push_back(session);
  for (const auto& session : open) {
    session->fail({503, "The server is shutting down.", "ServiceUnavailableError", {}});
  }
}

}  // namespace gallop::server
