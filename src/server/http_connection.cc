#include "server/http_connection.h"

#include <ctime>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>

#include "base/ascii.h"

namespace gallop::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[40];
  const size_t length = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text, length};
}

}  // namespace

// What the handler holds: it names its exchange by number, so that a late call can not write into
// the reply of another request. Dropped without a complete reply: the connection is closed.
class ConnectionExchange : public HttpExchange {
 public:
  ConnectionExchange(std::shared_ptr<HttpConnection> connection, uint64_t number)
      : connection_(std::move(connection)), number_(number) {}
  ~ConnectionExchange() override {
    if (current()) connection_->close();
  }
  ConnectionExchange(const ConnectionExchange&) = delete;
  ConnectionExchange& operator=(const ConnectionExchange&) = delete;

  void respond(HttpResponse response) override {
    if (!current()) return;
    connection_->send_head(response, false);
    if (!connection_->head_only_) connection_->write(response.body);
    connection_->end_exchange();
  }

  void begin_stream(HttpResponse response) override {
    if (!current()) return;
    connection_->send_head(response, true);
    write(response.body);
  }

  void write(std::string_view bytes) override {
    if (!current() || bytes.empty() || connection_->head_only_) return;
    if (connection_->unsent() > connection_->options_.limits.unsent_bytes) {
      connection_->close();  // a reader that does not read
      return;
    }
    if (connection_->chunked_) {
      connection_->write(fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes));
    } else {
      connection_->write(bytes);
    }
  }

  void end_stream() override {
    if (!current()) return;
    if (connection_->chunked_ && !connection_->head_only_) connection_->write("0\r\n\r\n");
    connection_->end_exchange();
  }

  void on_gone(std::function<void()> callback) override {
    if (current()) {
      connection_->gone_ = std::move(callback);
    } else {
      callback();
    }
  }

 private:
  bool current() const {
    return !connection_->closed_ && connection_->answering_ && connection_->exchange_ == number_;
  }

  std::shared_ptr<HttpConnection> connection_;
  uint64_t number_;
};

HttpConnection::HttpConnection(Socket socket, const HttpServerOptions& options,
                               std::shared_ptr<BodyBudget> bodies, HttpHandler handler,
                               Closed closed)
    : socket_(std::move(socket)),
      options_(options),
      bodies_(std::move(bodies)),
      handler_(std::move(handler)),
      closed_callback_(std::move(closed)),
      read_timer_(socket_.get_executor()),
      write_timer_(socket_.get_executor()) {
  reset_parser();
}

void HttpConnection::start() {
  ErrorCode ignored;  // a socket that can not do this still works
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  arm(read_timer_, options_.limits.idle);
  read();
}

void HttpConnection::refuse(int status, std::string message) {
  HttpResponse response = options_.error_response(status, std::move(message));
  response.close = true;
  answering_ = true;
  send_head(response, false);
  write(response.body);
  end_exchange();
  if (!reading_) read();
}

void HttpConnection::finish() {
  keep_alive_ = false;
  if (answering_) return;
  if (write_pending_) {
    close_after_write_ = true;
  } else {
    close();
  }
}

void HttpConnection::close() {
  if (closed_) return;
  closed_ = true;
  const auto self = shared_from_this();
  ErrorCode ignored;  // the connection ends either way
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
  read_timer_.cancel();
  write_timer_.cancel();
  if (auto gone = std::exchange(gone_, nullptr)) gone();
  closed_callback_(self);
}

void HttpConnection::reset_parser() {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(options_.limits.head_bytes));
  parser_->body_limit(options_.limits.body_bytes);
  parser_->eager(true);
  body_lease_ = std::make_shared<BodyLease>(bodies_);
  request_begun_ = false;
  expectation_answered_ = false;
}

void HttpConnection::read() {
  reading_ = true;
  socket_.async_read_some(asio::buffer(incoming_),
                          [self = shared_from_this()](const ErrorCode& error, size_t bytes) {
                            self->on_read(error, bytes);
                          });
}

void HttpConnection::on_read(const ErrorCode& error, size_t bytes) {
  reading_ = false;
  if (closed_) return;
  if (error) {
    close();
    return;
  }
  if (lingering_ || close_after_write_) {
    read();
    return;
  }
  buffer_.commit(asio::buffer_copy(buffer_.prepare(bytes), asio::buffer(incoming_, bytes)));
  // Reading on is how a client's leaving is seen; what it may send meanwhile is bounded.
  if (answering_ && buffer_.size() >= options_.limits.pipelined_bytes) {
    close();
    return;
  }
  resume();
}

void HttpConnection::resume() {
  if (closed_) return;
  parse();
  const bool room = buffer_.size() < options_.limits.pipelined_bytes;
  if (!closed_ && !reading_ && room) read();
}

// Feeds the parser until it needs more bytes, a request is being answered, or replies pile up.
void HttpConnection::parse() {
  if (parsing_) return;  // a handler answered at once; the loop below goes on
  parsing_ = true;
  while (!closed_ && !answering_ && !close_after_write_ && buffer_.size() > 0 &&
         unsent() <= options_.limits.unsent_bytes && parse_some()) {
  }
  parsing_ = false;
}

bool HttpConnection::parse_some() {
  if (!request_begun_) {
    request_begun_ = true;
    arm(read_timer_, options_.limits.read);
  }
  ErrorCode error;
  const size_t used = parser_->put(buffer_.data(), error);
  buffer_.consume(used);
  if (error == http::error::need_more) error = {};
  if (error) {
    refuse_parse(error);
    return false;
  }
  if (!body_lease_->grow_to(parser_->get().body().size())) {
    refuse(503, "The bodies of all requests together are too large at the moment.");
    return false;
  }
  if (parser_->is_done()) {
    dispatch();
    return true;
  }
  answer_expectation();
  return used > 0;
}

// curl asks before it sends a large body.
void HttpConnection::answer_expectation() {
  if (expectation_answered_ || !parser_->is_header_done()) return;
  expectation_answered_ = true;
  if (boost::beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
    write("HTTP/1.1 100 Continue\r\n\r\n");
  }
}

void HttpConnection::dispatch() {
  read_timer_.cancel();
  auto message = parser_->release();
  keep_alive_ = keep_alive_ && message.keep_alive();
  http_minor_ = message.version() >= 11 ? 1 : 0;
  HttpRequest request;
  request.method = std::string(message.method_string());
  const std::string_view target = message.target();
  const size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string_view::npos) request.query = target.substr(question + 1);
  for (const auto& field : message) {
    request.headers.emplace_back(lower_case(field.name_string()), std::string(field.value()));
  }
  request.body = std::move(message.body());
  request.body_lease = std::move(body_lease_);
  head_only_ = request.method == "HEAD";
  answering_ = true;
  ++exchange_;
  reset_parser();
  handler_(std::move(request), std::make_shared<ConnectionExchange>(shared_from_this(), exchange_));
}

void HttpConnection::refuse_parse(const ErrorCode& error) {
  if (error == http::error::header_limit) {
    refuse(431,
           fmt::format("The request's head is larger than {} bytes.", options_.limits.head_bytes));
  } else if (error == http::error::body_limit) {
    refuse(413,
           fmt::format("The request's body is larger than {} bytes.", options_.limits.body_bytes));
  } else {
    refuse(400, "Malformed HTTP request: " + error.message() + ".");
  }
}

void HttpConnection::send_head(const HttpResponse& response, bool stream) {
  if (response.close) keep_alive_ = false;
  chunked_ = stream && http_minor_ == 1;
  if (stream && !chunked_) keep_alive_ = false;  // its end is the connection's end
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                                 std::string_view(http::obsolete_reason(
                                     http::int_to_status(static_cast<unsigned>(response.status)))),
                                 http_date());
  if (!response.content_type.empty()) head += "Content-Type: " + response.content_type + "\r\n";
  for (const auto* headers : {&response.headers, &options_.headers}) {
    for (const auto& [name, value] : *headers) head += name + ": " + value + "\r\n";
  }
  if (chunked_) head += "Transfer-Encoding: chunked\r\n";
  if (!stream) head += fmt::format("Content-Length: {}\r\n", response.body.size());
  if (!keep_alive_) head += "Connection: close\r\n";
  if (keep_alive_ && http_minor_ == 0) head += "Connection: keep-alive\r\n";
  write(head + "\r\n");
}

void HttpConnection::end_exchange() {
  if (closed_) return;
  answering_ = false;
  gone_ = nullptr;
  if (!keep_alive_) {
    close_after_write_ = true;
    if (!write_pending_) linger();
    return;
  }
  arm(read_timer_, options_.limits.idle);
  if (parsing_) return;
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->resume(); });
}

void HttpConnection::write(std::string_view bytes) {
  if (closed_) return;
  outgoing_ += bytes;
  if (write_pending_) return;
  // Everything that one event of the program writes goes out together.
  write_pending_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->flush(); });
}

void HttpConnection::flush() {
  if (closed_) return;
  writing_ = std::exchange(outgoing_, {});
  arm(write_timer_, options_.limits.write);
  asio::async_write(
      socket_, asio::buffer(writing_),
      [self = shared_from_this()](const ErrorCode& error, size_t) { self->on_written(error); });
}

void HttpConnection::on_written(const ErrorCode& error) {
  if (closed_) return;
  write_timer_.cancel();
  writing_.clear();
  if (error) {
    close();
    return;
  }
  if (!outgoing_.empty()) {
    flush();
    return;
  }
  write_pending_ = false;
  if (close_after_write_) {
    linger();
  } else {
    resume();
  }
}

// Closing with unread input would reset the connection and could destroy the reply on its way: the
// sending side ends, and the client gets a moment to do the same.
void HttpConnection::linger() {
  if (lingering_) return;
  lingering_ = true;
  ErrorCode error;
  socket_.shutdown(Socket::shutdown_send, error);
  if (error) {
    close();
    return;
  }
  arm(read_timer_, std::chrono::milliseconds(1'000));
  buffer_.clear();
  if (!reading_) read();
}

void HttpConnection::arm(asio::steady_timer& timer, std::chrono::milliseconds delay) {
  timer.expires_after(delay);
  timer.async_wait([self = shared_from_this()](const ErrorCode& error) {
    if (!error) self->close();
  });
}

}  // namespace gallop::server
