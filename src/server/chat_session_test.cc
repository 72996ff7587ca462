#include "server/chat_session.h"

#include <utility>

#include <gtest/gtest.h>

namespace gallop::server {
namespace {

// Runs one request; the test plays the engine's part.
class ManualGenerator : public engine::Generator {
 public:
  Result<engine::RequestId> submit(engine::Request, engine::EventSink sink) override {
    sink_ = std::move(sink);
    return engine::RequestId{1};
  }
  void cancel(engine::RequestId) override { ++cancelled; }
  int32_t max_model_len() const override { return 2048; }
  int32_t max_drafts() const override { return 0; }
  bool healthy() const override { return true; }

  void send(std::vector<int32_t> tokens, std::optional<engine::FinishReason> finish = {}) {
    engine::TokenEvent event;
    event.tokens = std::move(tokens);
    event.finish = finish;
    sink_(std::move(event));
  }

  int cancelled = 0;

 private:
  engine::EventSink sink_;
};

// A client that is cut off in the middle of a write, as one that does not read is.
class CutOffExchange : public HttpExchange {
 public:
  explicit CutOffExchange(int writes_before) : writes_left_(writes_before) {}

  void respond(HttpResponse) override {}
  void begin_stream(HttpResponse) override {}
  void write(std::string_view) override {
    if (writes_left_-- == 0) std::exchange(gone_, nullptr)();
  }
  void end_stream() override { ended = true; }
  void on_gone(std::function<void()> callback) override { gone_ = std::move(callback); }

  bool ended = false;

 private:
  int writes_left_;
  std::function<void()> gone_;
};

class ChatSessionTest : public ::testing::TestWithParam<int> {
 protected:
  // A stream whose client goes in the middle of write number GetParam().
  void start() {
    exchange_ = std::make_shared<CutOffExchange>(GetParam());
    const ChatSession::Context context{
        tokenizer_, generator_, [](const std::function<void()>& function) { function(); }, 0};
    session_ = std::make_shared<ChatSession>(context, exchange_, "id", [this] { ++done_; });
    exchange_->on_gone([this] { session_->abandon(); });
    PreparedChat prepared;
    prepared.request.stream = true;
    prepared.prompt = {1};
    session_->start(std::move(prepared), {});
    EXPECT_EQ(done_, 0);
  }

  text::Tokenizer tokenizer_ = *text::Tokenizer::load(GALLOP_SOURCE_DIR "/models/foal/target");
  ManualGenerator generator_;
  std::shared_ptr<CutOffExchange> exchange_;
  std::shared_ptr<ChatSession> session_;
  int done_ = 0;
};

TEST_P(ChatSessionTest, AClientMayBeCutOffInAnyWrite) {
  start();
  generator_.send({300});
  generator_.send({301}, engine::FinishReason::kLength);  // two writes: the last tokens, the end
  EXPECT_EQ(done_, 1);
  EXPECT_EQ(exchange_->ended, GetParam() > 2);
  EXPECT_EQ(generator_.cancelled, GetParam() == 0 ? 1 : 0);
}

TEST_P(ChatSessionTest, AClientMayBeCutOffInAnErrorsWrite) {
  start();
  generator_.send({300});
  generator_.send({}, engine::FinishReason::kError);
  EXPECT_EQ(done_, 1);
  EXPECT_EQ(exchange_->ended, GetParam() > 1);
}

INSTANTIATE_TEST_SUITE_P(Writes, ChatSessionTest, ::testing::Range(0, 4));

}  // namespace
}  // namespace gallop::server
