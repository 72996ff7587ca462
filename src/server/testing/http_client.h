// A blocking HTTP client over one plain socket, for tests that need to see every byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gallop::server::testing {

struct ClientResponse {
  int status = 0;  // 0: the connection ended before a complete reply
  std::string head;
  std::string body;  // chunks joined

  bool has_header(std::string_view line) const {
    return head.find("\r\n" + std::string(line)) != std::string::npos;
  }
};

class HttpClient {
 public:
  explicit HttpClient(uint16_t port);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  void send(std::string_view bytes);
  // Reads one whole reply; `no_body` for HEAD.
  ClientResponse receive(bool no_body = false);
  // Reads until `text` has been seen or the connection ends; returns all read so far.
  std::string receive_until(std::string_view text);
  // True when the peer has closed and nothing is left to read.
  bool at_end();
  void close();

  ClientResponse get(const std::string& path, const std::string& headers = "");
  ClientResponse post(const std::string& path, const std::string& body,
                      const std::string& headers = "Content-Type: application/json\r\n");

 private:
  bool fill();
  std::string take_line();

  int socket_ = -1;
  std::string received_;
};

std::string post_request(const std::string& path, const std::string& body,
                         const std::string& headers = "Content-Type: application/json\r\n");

// The data of each event of an SSE body.
std::vector<std::string> sse_data(std::string_view body);

}  // namespace gallop::server::testing
