#include "server/testing/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace gallop::server::testing {

HttpClient::HttpClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  CHECK_GE(socket_, 0);
  const timeval limit{20, 0};  // a test that hangs fails instead
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
}

HttpClient::~HttpClient() { close(); }

void HttpClient::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

void HttpClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the peer has gone; receive() will tell
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

bool HttpClient::fill() {
  char chunk[4096];
  const ssize_t got = ::recv(socket_, chunk, sizeof chunk, 0);
  if (got <= 0) return false;
  received_.append(chunk, static_cast<size_t>(got));
  return true;
}

std::string HttpClient::receive_until(std::string_view text) {
  while (received_.find(text) == std::string::npos && fill()) {
  }
  return received_;
}

bool HttpClient::at_end() { return received_.empty() && !fill(); }

std::string HttpClient::take_line() {
  receive_until("\r\n");
  const size_t end = received_.find("\r\n");
  if (end == std::string::npos) return {};
  std::string line = received_.substr(0, end);
  received_.erase(0, end + 2);
  return line;
}

ClientResponse HttpClient::receive(bool no_body) {
  receive_until("\r\n\r\n");
  const size_t end = received_.find("\r\n\r\n");
  if (end == std::string::npos) return {};
  ClientResponse response;
  response.head = received_.substr(0, end + 2);
  received_.erase(0, end + 4);
  response.status = std::stoi(response.head.substr(9, 3));
  if (no_body) return response;
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  if (const size_t at = response.head.find(kLength); at != std::string::npos) {
    const size_t length = std::stoul(response.head.substr(at + kLength.size()));
    while (received_.size() < length && fill()) {
    }
    response.body = received_.substr(0, length);
    received_.erase(0, length);
    return response;
  }
  if (!response.has_header("Transfer-Encoding: chunked")) {
    while (fill()) {
    }
    response.body = std::exchange(received_, {});
    return response;
  }
  while (true) {
    const std::string line = take_line();
    const size_t length = line.empty() ? 0 : std::stoul(line, nullptr, 16);
    while (received_.size() < length + 2 && fill()) {
    }
    response.body += received_.substr(0, length);
    received_.erase(0, length + 2);
    if (length == 0) return response;
  }
}

ClientResponse HttpClient::get(const std::string& path, const std::string& headers) {
  send(fmt::format("GET {} HTTP/1.1\r\nHost: test\r\n{}\r\n", path, headers));
  return receive();
}

ClientResponse HttpClient::post(const std::string& path, const std::string& body,
                                const std::string& headers) {
  send(post_request(path, body, headers));
  return receive();
}

std::string post_request(const std::string& path, const std::string& body,
                         const std::string& headers) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: test\r\n{}Content-Length: {}\r\n\r\n{}", path,
                     headers, body.size(), body);
}

std::vector<std::string> sse_data(std::string_view body) {
  std::vector<std::string> events;
  while (!body.empty()) {
    const size_t end = body.find("\n\n");
    const std::string_view event = body.substr(0, end);
    constexpr std::string_view kData = "data: ";
    if (event.starts_with(kData)) events.emplace_back(event.substr(kData.size()));
    if (end == std::string_view::npos) break;
    body.remove_prefix(end + 2);
  }
  return events;
}

}  // namespace gallop::server::testing
