// One chat request from its prompt to the last byte of its reply: submits a request to the engine
// for each choice and turns token events into deltas or a whole reply. Lives on the I/O thread; the
// service owns it until `done`. The engine's events reach it through a weak pointer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/generator.h"
#include "server/api_error.h"
#include "server/choice_decoder.h"
#include "server/http_server.h"
#include "server/openai_types.h"
#include "text/tokenizer.h"

namespace gallop::server {

// A request whose prompt is ready for the engine.
struct PreparedChat {
  ChatRequest request;
  std::vector<int32_t> prompt;
  bool starts_in_reasoning = false;  // the prompt ends inside <think>
  text::ToolForm tool_form = text::ToolForm::kXml;
};

class ChatSession : public std::enable_shared_from_this<ChatSession> {
 public:
  struct Context {
    const text::Tokenizer& tokenizer;
    engine::Generator& generator;
    Poster poster;
    int32_t drafts = 0;
  };

  // `request_id` is what the request's headers call it; empty: its body or the session names it.
  // `done` is called once, when nothing more will come: it may destroy the session's owner's entry.
  ChatSession(const Context& context, std::shared_ptr<HttpExchange> exchange,
              std::string request_id, std::function<void()> done);

  // Ends the session with an error: a status before the reply has begun, else an error event.
  void fail(const ApiError& error);
  // Names the reply after the request.
  void start(PreparedChat prepared, ReplyHead head);
  // The client has gone: nothing is written any more, the engine's work is cancelled.
  void abandon();

 private:
  struct Choice {
    explicit Choice(ChoiceDecoder choice_decoder) : decoder(std::move(choice_decoder)) {}

    ChoiceDecoder decoder;
    engine::RequestId engine_id = 0;
    bool submitted = false;
    bool finished = false;
    bool begun = false;  // its role chunk is sent
    ChoiceReply reply;   // complete only without stream
    std::vector<std::string> tool_ids;
    std::vector<int32_t> new_ids;  // not sent yet, when the client wants token ids
  };

  bool submit(size_t index);
  void on_event(size_t index, const engine::TokenEvent& event);
  void take_tokens(Choice& choice, const engine::TokenEvent& event, ChoiceDecoder::Pieces& pieces);
  void finish_choice(Choice& choice, std::string reason, Json stop_reason);
  void collect(Choice& choice, const ChoiceDecoder::Pieces& pieces);
  void send(size_t index, const ChoiceDecoder::Pieces& pieces);
  // False when the client was cut off in the middle, which has ended the session.
  bool write(std::string_view bytes);
  std::string chunk(size_t index, Json delta, Json finish_reason);
  bool visible(const text::OutputPiece& piece) const;
  Json delta_of(Choice& choice, const text::OutputPiece& piece);
  const std::string& tool_id(Choice& choice, int32_t tool_index);
  Usage usage() const;
  void complete();
  void end();
  void cancel_choices();

  Context context_;
  std::shared_ptr<HttpExchange> exchange_;
  bool named_by_headers_;
  std::string request_id_;
  std::function<void()> done_;
  PreparedChat chat_;
  ReplyHead head_;
  uint64_t seed_ = 0;
  std::vector<Choice> choices_;
  bool streaming_ = false;  // the stream's head is sent
  bool prompt_ids_sent_ = false;
  bool ended_ = false;
};

// Seed of choice `index`: the request's own for the first, an independent one for each other.
uint64_t choice_seed(uint64_t seed, size_t index);

}  // namespace gallop::server
