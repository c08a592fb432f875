#include "client/http_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <thread>

#include "base/encoding.h"
#include "base/file.h"
#include "base/testing.h"
#include "base/unique_fd.h"

namespace larder::client {
namespace {

using base::ErrorCode;

// Answers each connection with the next text of a list, after it has read a whole request (head and
// Content-Length bytes), and keeps what it read. An empty text leaves the connection open, silent;
// where connections are kept, so do the others.
class TextServer {
 public:
  TextServer(std::vector<std::string> answers, const std::string& unix_path = "",
             bool keeps_connections = false)
      : answers_(std::move(answers)), keeps_connections_(keeps_connections) {
    if (unix_path.empty()) {
      listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
      socklen_t length = sizeof address;
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
      port_ = ntohs(address.sin_port);
    } else {
      listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
      ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    ::listen(listener_.get(), 8);
    thread_ = std::thread([this] { serve(); });
  }
  ~TextServer() { join(); }
  TextServer(const TextServer&) = delete;
  TextServer& operator=(const TextServer&) = delete;

  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  // The requests so far; ends the server.
  const std::vector<std::string>& requests() {
    join();
    return requests_;
  }
  void join() {
    if (!thread_.joinable()) return;
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

 private:
  void serve() {
    for (const auto& answer : answers_) {
      base::UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      requests_.push_back(read_request(peer.get()));
      (void)!::write(peer.get(), answer.data(), answer.size());
      if (answer.empty() || keeps_connections_) open_.push_back(std::move(peer));
    }
  }

  static std::string read_request(int fd) {
    std::string text;
    char buffer[4096];
    std::size_t wanted = std::string::npos;
    while (text.size() < wanted) {
      const auto got = ::read(fd, buffer, sizeof buffer);
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
      const auto end = text.find("\r\n\r\n");
      if (end == std::string::npos || wanted != std::string::npos) continue;
      const auto length = base::to_lower(text.substr(0, end)).find("content-length: ");
      wanted = end + 4;
      if (length != std::string::npos)
        wanted += std::strtoul(text.c_str() + length + 16, nullptr, 10);
    }
    return text;
  }

  std::vector<std::string> answers_;
  const bool keeps_connections_;
  std::vector<std::string> requests_;
  std::vector<base::UniqueFd> open_;
  base::UniqueFd listener_;
  int port_ = 0;
  std::thread thread_;
};

class HttpClientTest : public base::FolderTest {
 protected:
  HttpRequest get(const TextServer& server, const std::string& path) const {
    HttpRequest request;
    request.url = server.url(path);
    return request;
  }

  HttpClient client_;
};

TEST_F(HttpClientTest, GivesStatusFieldsAndBody) {
  TextServer server({"HTTP/1.1 404 Not Found\r\nX-One:  two \r\nContent-Length: 4\r\n\r\nnone"});
  auto request = get(server, "/a/../b?c=d");
  request.fields = {{"X-Empty", ""}, {"Authorization", "Bearer t"}};
  const auto response = client_.perform(request);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->field("x-one"), "two");
  EXPECT_EQ(response->field("absent"), "");
  EXPECT_EQ(response->body, "none");
  const auto sent = server.requests().at(0);
  EXPECT_TRUE(sent.starts_with("GET /a/../b?c=d HTTP/1.1\r\n")) << sent;
  EXPECT_NE(sent.find("\r\nAuthorization: Bearer t\r\n"), std::string::npos) << sent;
  EXPECT_NE(sent.find("\r\nX-Empty:"), std::string::npos) << sent;
}

TEST_F(HttpClientTest, SendsABodyFromMemoryAndFromAFile) {
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  TextServer server({answer, answer, answer});
  auto request = get(server, "/x");
  request.method = "POST";
  request.body = "{\"a\":1}";
  request.fields = {{"Content-Type", "application/json"}};
  ASSERT_TRUE(client_.perform(request));
  request.body.clear();
  request.fields.clear();
  ASSERT_TRUE(client_.perform(request));
  request.method = "PUT";
  request.body_file = folder_ + "/body";
  ASSERT_TRUE(base::write_file_atomically(request.body_file, std::string(200'000, 'z'), 0600));
  ASSERT_TRUE(client_.perform(request));
  const auto& sent = server.requests();
  EXPECT_TRUE(sent.at(0).ends_with("\r\n\r\n{\"a\":1}")) << sent.at(0);
  EXPECT_NE(sent.at(0).find("Content-Type: application/json\r\n"), std::string::npos);
  EXPECT_NE(sent.at(1).find("Content-Length: 0\r\n"), std::string::npos) << sent.at(1);
  EXPECT_EQ(sent.at(1).find("Content-Type"), std::string::npos) << sent.at(1);
  EXPECT_TRUE(sent.at(2).starts_with("PUT ")) << sent.at(2).substr(0, 200);
  EXPECT_EQ(sent.at(2).find("Expect"), std::string::npos);
  EXPECT_TRUE(sent.at(2).ends_with(std::string(200'000, 'z')));
}

TEST_F(HttpClientTest, StreamsTheBodyOfASuccessAndKeepsThatOfAnError) {
  TextServer server(
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
       "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"});
  auto request = get(server, "/");
  std::string streamed;
  std::vector<int> heads;
  request.on_head = [&](int status, const auto&) -> base::Status {
    EXPECT_TRUE(streamed.empty());
    heads.push_back(status);
    return {};
  };
  request.on_body = [&](std::span<const std::uint8_t> bytes) -> base::Status {
    streamed += base::as_text(bytes);
    return {};
  };
  const auto response = client_.perform(request);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "");
  EXPECT_EQ(streamed, "hello");
  streamed.clear();
  const auto error = client_.perform(request);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->body, "busy");
  EXPECT_EQ(streamed, "");
  EXPECT_EQ(heads, (std::vector<int>{200, 503}));
}

TEST_F(HttpClientTest, StopsWhenACallbackFailsAndGivesItsError) {
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  TextServer server({answer, answer});
  auto request = get(server, "/");
  request.on_head = [](int, const auto&) { return base::fail(ErrorCode::DataLoss, "wrong head"); };
  EXPECT_EQ(client_.perform(request).error().code, ErrorCode::DataLoss);
  request.on_head = nullptr;
  request.on_body = [](auto) { return base::fail(ErrorCode::ResourceExhausted, "disk full"); };
  EXPECT_EQ(client_.perform(request).error().code, ErrorCode::ResourceExhausted);
}

TEST_F(HttpClientTest, BoundsWhatItKeeps) {
  TextServer server({"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
                     "HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'a') + "\r\n\r\n",
                     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"});
  auto request = get(server, "/");
  request.body_limit = 10;
  EXPECT_EQ(client_.perform(request).error().code, ErrorCode::ResourceExhausted);
  EXPECT_FALSE(client_.perform(request));
  EXPECT_EQ(client_.perform(request).error().code, ErrorCode::Unavailable);
}

TEST_F(HttpClientTest, ReportsACutBodyAndARefusedConnectionAsUnavailable) {
  TextServer server({"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"});
  auto request = get(server, "/path?signature=secret");
  const auto cut = client_.perform(request);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::Unavailable);
  EXPECT_EQ(cut.error().message.find("secret"), std::string::npos) << cut.error().message;
  server.join();
  request.url = "http://127.0.0.1:1/";
  EXPECT_EQ(client_.perform(request).error().code, ErrorCode::Unavailable);
}

TEST_F(HttpClientTest, RefusesRequestsThatCouldSmuggle) {
  HttpRequest request;
  request.url = "http://127.0.0.1:1/";
  request.fields = {{"X", "a\r\nY: b"}};
  EXPECT_EQ(client_.perform(request).error().code, ErrorCode::InvalidArgument);
  request.fields = {{"X Y", "a"}};
  EXPECT_EQ(client_.perform(request).error().code, ErrorCode::InvalidArgument);
  request.fields.clear();
  request.url = "http://127.0.0.1:1/ HTTP/1.1\r\nX: y";
  EXPECT_EQ(client_.perform(request).error().code, ErrorCode::InvalidArgument);
  request.url = "file:///etc/passwd";
  EXPECT_EQ(client_.perform(request).error().code, ErrorCode::InvalidArgument);
  request.url = "http://127.0.0.1:1/";
  request.body_file = folder_ + "/absent";
  EXPECT_EQ(client_.perform(request).error().code, ErrorCode::NotFound);
}

TEST_F(HttpClientTest, TimesOut) {
  TextServer server({""});
  auto request = get(server, "/");
  request.timeout = std::chrono::milliseconds(50);
  EXPECT_EQ(client_.perform(request).error().code, ErrorCode::DeadlineExceeded);
}

TEST_F(HttpClientTest, IsCancelledFromAnotherThread) {
  TextServer server({""});
  auto request = get(server, "/");
  std::thread other([this] { client_.cancel(); });
  const auto response = client_.perform(request);
  other.join();
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::Unavailable);
  EXPECT_FALSE(client_.perform(request));
}

TEST_F(HttpClientTest, ConnectsOnlyWhereTheRulesAllow) {
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  TextServer server({answer});
  HttpRequest request = get(server, "/asked");
  request.addresses = AddressRules{.private_too = true, .allowed = {}};
  for (const std::string host : {"127.0.0.1", "localhost"}) {
    HttpRequest refused = request;
    refused.url.replace(refused.url.find("127.0.0.1"), 9, host);
    const auto response = client_.perform(refused);
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, ErrorCode::PermissionDenied) << response.error().message;
    EXPECT_NE(response.error().message.find("own and not allowed"), std::string::npos)
        << response.error().message;
  }
  request.addresses->allowed = {*base::parse_address_range("127.0.0.1")};
  const auto response = client_.perform(request);
  ASSERT_TRUE(response) << response.error().message;
  ASSERT_EQ(server.requests().size(), 1U);
  EXPECT_TRUE(server.requests().front().starts_with("GET /asked "));
}

TEST_F(HttpClientTest, WhereOneAddressIsAllowedItsFailureIsTheAnswer) {
  const base::UniqueFd ipv6(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!ipv6) GTEST_SKIP() << "no IPv6 here, so localhost has one address";
  HttpRequest request;
  request.url = "http://localhost:9/";
  for (const char* const allowed : {"::1", "127.0.0.1"}) {
    request.addresses =
        AddressRules{.private_too = true, .allowed = {*base::parse_address_range(allowed)}};
    const auto response = client_.perform(request);
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, ErrorCode::Unavailable) << response.error().message;
  }
}

// A connection is kept, but not for those who may not use it.
TEST_F(HttpClientTest, RulesHoldOnConnectionsThatAreOpen) {
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  TextServer server({answer}, "", true);
  HttpRequest request = get(server, "/");
  ASSERT_TRUE(client_.perform(request));
  request.addresses = AddressRules{};
  const auto response = client_.perform(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::PermissionDenied) << response.error().message;
}

TEST_F(HttpClientTest, SpeaksOverAUnixSocket) {
  TextServer server({"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"}, folder_ + "/socket");
  HttpRequest request;
  request.url = "http://larder/api/v1/status";
  request.unix_socket = folder_ + "/socket";
  const auto response = client_.perform(request);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "ok");
  EXPECT_NE(server.requests().at(0).find("Host: larder\r\n"), std::string::npos);
}

}  // namespace
}  // namespace larder::client
