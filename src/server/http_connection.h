// One connection of the HTTP server: reads requests one after the other, hands each to the handler,
// sends its reply. Private to http_server.cc and http_connection.cc (it includes Beast, which is
// slow to compile). Exactly one read is pending while a request runs, so that its client's
// leaving is noticed; a client that sends too much meanwhile, or half-closes, counts as gone.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "server/http_server.h"

namespace gallop::server {

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Closed = std::function<void(const std::shared_ptr<HttpConnection>&)>;

  // `options` must outlive the connection; `closed` is called once.
  HttpConnection(Socket socket, const HttpServerOptions& options,
                 std::shared_ptr<BodyBudget> bodies, HttpHandler handler, Closed closed);

  void start();
  // Sends an error reply without having read anything, then closes.
  void refuse(int status, std::string message);
  // Ends after the current reply; at once when there is none.
  void finish();
  void close();

 private:
  friend class ConnectionExchange;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using ErrorCode = boost::system::error_code;

  size_t unsent() const { return outgoing_.size() + writing_.size(); }
  void reset_parser();
  void read();
  void on_read(const ErrorCode& error, size_t bytes);
  void resume();
  void parse();
  bool parse_some();
  void answer_expectation();
  void dispatch();
  void refuse_parse(const ErrorCode& error);
  void send_head(const HttpResponse& response, bool stream);
  void end_exchange();
  void write(std::string_view bytes);
  void flush();
  void on_written(const ErrorCode& error);
  void linger();
  void arm(boost::asio::steady_timer& timer, std::chrono::milliseconds delay);

  Socket socket_;
  const HttpServerOptions& options_;
  std::shared_ptr<BodyBudget> bodies_;
  HttpHandler handler_;
  Closed closed_callback_;
  boost::asio::steady_timer read_timer_;
  boost::asio::steady_timer write_timer_;

  // A pending read has its own memory: buffer_ moves its bytes while requests are parsed.
  static constexpr size_t kReadBytes = 16 << 10;
  std::array<char, kReadBytes> incoming_;
  boost::beast::flat_buffer buffer_;  // received, not yet parsed
  std::optional<Parser> parser_;
  std::shared_ptr<BodyLease> body_lease_;  // of the body that the parser holds
  bool reading_ = false;
  bool parsing_ = false;
  bool request_begun_ = false;
  bool expectation_answered_ = false;

  // The request being answered.
  uint64_t exchange_ = 0;  // number of the current or last one
  bool answering_ = false;
  bool head_only_ = false;  // HEAD
  bool chunked_ = false;
  bool keep_alive_ = true;
  int http_minor_ = 1;
  std::function<void()> gone_;

  std::string outgoing_;  // waits for the write in flight
  std::string writing_;
  bool write_pending_ = false;
  bool close_after_write_ = false;
  bool lingering_ = false;  // reply sent, connection ends; what still comes in is thrown away
  bool closed_ = false;
};

}  // namespace gallop::server
