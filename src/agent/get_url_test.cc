// Downloads of URLs against real servers on loopback.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "agent/get.h"
#include "agent/testing.h"
#include "base/encoding.h"
#include "base/unique_fd.h"
#include "crypto/digest.h"

namespace larder::agent {
namespace {

using base::ErrorCode;

// A server of one object with ranges and If-Range; each connection is closed after its answer.
class ObjectServer {
 public:
  ObjectServer() {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    socklen_t length = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    ::listen(listener_.get(), 8);
    thread_ = std::thread([this] { serve(); });
  }
  ~ObjectServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  ObjectServer(const ObjectServer&) = delete;
  ObjectServer& operator=(const ObjectServer&) = delete;

  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> requests() {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }

  // Set before the first request.
  std::string bytes;
  std::string validator = "ETag: \"one\"";
  std::string status;                    // not empty: the whole status, with an empty body
  std::string location;                  // of a redirect
  std::optional<std::size_t> cut_after;  // bytes of the first answer's body

 private:
  void serve() {
    for (;;) {
      const base::UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer) return;
      std::string request;
      char buffer[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const auto got = ::read(peer.get(), buffer, sizeof buffer);
        if (got <= 0) break;
        request.append(buffer, static_cast<std::size_t>(got));
      }
      const auto answer = answer_to(request);
      {
        const std::scoped_lock lock(mutex_);
        requests_.push_back(request);
      }
      for (std::size_t at = 0; at < answer.size();) {
        const auto put = ::send(peer.get(), answer.data() + at, answer.size() - at, MSG_NOSIGNAL);
        if (put <= 0) break;
        at += static_cast<std::size_t>(put);
      }
    }
  }

  std::string answer_to(const std::string& request) {
    if (!status.empty()) {
      return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nConnection: close\r\n" +
             (location.empty() ? "" : "Location: " + location + "\r\n") + "\r\n";
    }
    const auto range = request.find("\r\nRange: bytes=");
    const auto condition = request.find("\r\nIf-Range: ");
    const auto tag = validator.substr(validator.find(' ') + 1);
    std::size_t first = 0;
    std::string head = "HTTP/1.1 200 OK\r\n";
    if (range != std::string::npos &&
        (condition == std::string::npos || request.compare(condition + 12, tag.size(), tag) == 0)) {
      first = std::stoul(request.substr(range + 15));
      head = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + std::to_string(first) + "-" +
             std::to_string(bytes.size() - 1) + "/" + std::to_string(bytes.size()) + "\r\n";
    }
    auto body = bytes.substr(first);
    head += "Content-Length: " + std::to_string(body.size()) +
            "\r\nConnection: close\r\nDate: Sat, 21 Nov 2026 22:00:00 GMT\r\n" + validator +
            "\r\n\r\n";
    if (cut_after) body.resize(std::min(body.size(), *std::exchange(cut_after, std::nullopt)));
    return head + body;
  }

  base::UniqueFd listener_;
  int port_ = 0;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

class GetUrlTest : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    origin_.bytes = cache_.bytes = bytes_;
    request_.url = "http://" + origin_.host() + "/files/tool.deb?x=1";
    request_.output = folder_;
    request_.sha256 = crypto::sha256_hex(bytes_);
  }
  base::Result<GetResult> get() { return get_url(request_, listener_, clock_); }

  const std::string bytes_ = sample_bytes(2'500'000);
  ObjectServer origin_;
  ObjectServer cache_;
  UrlRequest request_;
  RememberingListener listener_;
  base::SystemClock clock_;
};

TEST_F(GetUrlTest, ComesFromTheCacheAndAsksAsClientsDo) {
  request_.cache_host = cache_.host();
  const auto result = get();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(content_of("tool.deb"), bytes_);
  EXPECT_EQ(names(), std::vector<std::string>{"tool.deb"});
  EXPECT_EQ(result->files.at(0).sha256, request_.sha256);
  EXPECT_EQ(result->bytes_by_source.at(cache_.host()), bytes_.size());
  EXPECT_TRUE(origin_.requests().empty());
  const auto asked = cache_.requests();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_TRUE(
      asked[0].starts_with("GET /files/tool.deb?x=1&cacheHostOrigin=127.0.0.1 HTTP/1.1\r\n"))
      << asked[0];
}

TEST_F(GetUrlTest, FallsBackToTheOriginWhenTheCacheRefuses) {
  cache_.status = "503 Busy";
  request_.cache_host = cache_.host();
  ASSERT_TRUE(get());
  EXPECT_EQ(content_of("tool.deb"), bytes_);
  EXPECT_EQ(listener_.failed, std::vector<std::string>{cache_.host()});
}

TEST_F(GetUrlTest, FallsBackInTheMiddleAndKeepsWhatIsOfTheSameObject) {
  cache_.cut_after = 1'000'000;
  request_.cache_host = cache_.host();
  const auto result = get();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(content_of("tool.deb"), bytes_);
  EXPECT_EQ(result->bytes_by_source.at("127.0.0.1"), 1'500'000U);
  EXPECT_NE(origin_.requests().at(0).find("Range: bytes=1000000-\r\nIf-Range: \"one\"\r\n"),
            std::string::npos);
}

TEST_F(GetUrlTest, NeverMixesTwoObjects) {
  cache_.bytes = sample_bytes(2'500'000, 7);
  cache_.validator = "ETag: \"two\"";
  cache_.cut_after = 1'000'000;
  request_.cache_host = cache_.host();
  request_.sha256.clear();
  ASSERT_TRUE(get());
  EXPECT_EQ(content_of("tool.deb"), bytes_);
}

TEST_F(GetUrlTest, BeginsAnewWhenNothingIdentifiesTheObject) {
  for (auto* server : {&origin_, &cache_}) server->validator = "ETag: W/\"weak\"";
  cache_.cut_after = 1'000'000;
  request_.cache_host = cache_.host();
  const auto result = get();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->bytes_by_source.at("127.0.0.1"), bytes_.size());
  EXPECT_EQ(content_of("tool.deb"), bytes_);
}

TEST_F(GetUrlTest, TakesALastModifiedThatIsOldEnoughForAValidator) {
  for (auto* server : {&origin_, &cache_}) {
    server->validator = "Last-Modified: Sat, 21 Nov 2026 21:00:00 GMT";
  }
  cache_.cut_after = 1'000'000;
  request_.cache_host = cache_.host();
  const auto result = get();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->bytes_by_source.at("127.0.0.1"), 1'500'000U);
  EXPECT_EQ(content_of("tool.deb"), bytes_);
}

TEST_F(GetUrlTest, GoesOnAfterACutOrigin) {
  origin_.cut_after = 2'000'000;
  ASSERT_TRUE(get());
  EXPECT_EQ(content_of("tool.deb"), bytes_);
  EXPECT_EQ(origin_.requests().size(), 2U);
}

TEST_F(GetUrlTest, ResumesWhatAnInterruptedCallLeft) {
  ASSERT_TRUE(
      base::write_file_atomically(path("tool.deb.larder-part"), bytes_.substr(0, 700'000), 0644));
  const std::string note =
      R"({"url":")" + request_.url + R"(","validator":"\"one\"","total":2500000})";
  ASSERT_TRUE(base::write_file_atomically(path("tool.deb.larder-part.json"), note, 0644));
  const auto result = get();
  ASSERT_TRUE(result);
  EXPECT_EQ(content_of("tool.deb"), bytes_);
  EXPECT_EQ(result->bytes_by_source.at("resumed"), 700'000U);
  EXPECT_EQ(result->bytes_by_source.at("127.0.0.1"), 1'800'000U);
  EXPECT_EQ(names(), std::vector<std::string>{"tool.deb"});
}

TEST_F(GetUrlTest, DropsAPartOfAnotherUrl) {
  ASSERT_TRUE(base::write_file_atomically(path("tool.deb.larder-part"), "other bytes", 0644));
  const std::string note = R"({"url":"http://other/","validator":"\"one\"","total":2500000})";
  ASSERT_TRUE(base::write_file_atomically(path("tool.deb.larder-part.json"), note, 0644));
  ASSERT_TRUE(get());
  EXPECT_EQ(content_of("tool.deb"), bytes_);
}

TEST_F(GetUrlTest, FetchesAgainFromTheOriginWhenTheCacheHadWrongBytes) {
  cache_.bytes[1'234'567] ^= 1;
  request_.cache_host = cache_.host();
  const auto result = get();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(content_of("tool.deb"), bytes_);
}

TEST_F(GetUrlTest, LeavesNoFileWhenTheOriginHasWrongBytes) {
  request_.sha256 = std::string(64, '0');
  const auto result = get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::DataLoss);
  EXPECT_TRUE(names().empty());
}

TEST_F(GetUrlTest, SaysWhatTheOriginAnswered) {
  origin_.status = "404 Not Found";
  const auto result = get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::NotFound);
  EXPECT_NE(result.error().message.find("404"), std::string::npos);
  EXPECT_EQ(result.error().message.find("x=1"), std::string::npos) << "queries may be signed";
  EXPECT_TRUE(names().empty());
}

TEST_F(GetUrlTest, FollowsARedirectOfTheOrigin) {
  ObjectServer other;
  other.bytes = bytes_;
  origin_.status = "302 Found";
  origin_.location = "http://" + other.host() + "/elsewhere";
  ASSERT_TRUE(get());
  EXPECT_EQ(content_of("tool.deb"), bytes_);
  EXPECT_TRUE(other.requests().at(0).starts_with("GET /elsewhere "));
}

TEST_F(GetUrlTest, EndsARedirectLoop) {
  origin_.status = "302 Found";
  origin_.location = "/again";
  EXPECT_FALSE(get());
  EXPECT_EQ(origin_.requests().size(), 11U);
}

TEST_F(GetUrlTest, RefusesWrongUse) {
  request_.sha256 = "abc";
  EXPECT_EQ(get().error().code, ErrorCode::InvalidArgument);
  request_.sha256.clear();
  request_.cache_host = "http://cache";
  EXPECT_EQ(get().error().code, ErrorCode::InvalidArgument);
  request_.cache_host.clear();
  request_.url = "http://" + origin_.host() + "/";
  EXPECT_EQ(get().error().code, ErrorCode::InvalidArgument);
  EXPECT_TRUE(names().empty());
}

TEST_F(GetUrlTest, WritesToANamedFile) {
  request_.output = path("named.bin");
  ASSERT_TRUE(get());
  EXPECT_EQ(content_of("named.bin"), bytes_);
}

TEST(PackageName, HasAVersionBehindTheSign) {
  EXPECT_EQ(parse_package_name("tool@1.2")->version, "1.2");
  EXPECT_EQ(parse_package_name("tool")->package, "tool");
  EXPECT_EQ(parse_package_name("tool")->version, "");
  for (const auto* text : {"", "@1", "tool@", "a/b", "tool@1@2", "../x"}) {
    EXPECT_FALSE(parse_package_name(text)) << text;
  }
}

}  // namespace
}  // namespace larder::agent
