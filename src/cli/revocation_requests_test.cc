#include "cli/revocation_requests.h"

#include <gtest/gtest.h>

#include <vector>

namespace larder::cli {
namespace {

using base::ErrorCode;
using std::chrono::seconds;

// Places that answer after some time, or never.
struct Places {
  client::HttpExchange exchange() {
    return [this](const client::HttpRequest& request) -> base::Result<client::HttpResponse> {
      asked.push_back(request);
      clock.advance(std::min<std::chrono::microseconds>(takes, request.timeout));
      if (takes >= request.timeout) return base::fail(ErrorCode::DeadlineExceeded, "no answer");
      return client::HttpResponse{.status = 200, .fields = {}, .body = {}};
    };
  }

  base::ManualClock clock{base::WallTime{}};
  seconds takes{0};
  std::vector<client::HttpRequest> asked;
};

client::HttpRequest request_to(const std::string& url) {
  client::HttpRequest request;
  request.url = url;
  request.timeout = seconds(10);
  return request;
}

TEST(RevocationRequests, OnlyTheTimeInsideThemCounts) {
  Places places;
  const auto ask = revocation_requests({}, {}, places.clock, places.exchange());
  for (const char* url : {"http://a.test/", "http://b.test/", "http://c.test/"}) {
    EXPECT_TRUE(ask(request_to(url))) << url;
    places.clock.advance(seconds(60));  // an object was read
  }
  EXPECT_EQ(places.asked.size(), 3U);
}

TEST(RevocationRequests, TakeHalfAMinuteTogetherAndTheRestIsNotAsked) {
  Places places;
  places.takes = seconds(60);
  const auto ask = revocation_requests({}, {}, places.clock, places.exchange());
  for (const char* url : {"http://a.test/", "http://b.test/", "http://c.test/"}) {
    EXPECT_EQ(ask(request_to(url)).error().code, ErrorCode::DeadlineExceeded) << url;
    EXPECT_FALSE(ask(request_to(url))) << "a second time";
  }
  EXPECT_EQ(places.clock.steady().time_since_epoch(), seconds(30)) << "none is asked twice";
  const auto late = ask(request_to("http://d.test/"));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::PermissionDenied);
  EXPECT_TRUE(late.error().message.contains("took 30 s already")) << late.error().message;
  EXPECT_EQ(places.asked.size(), 3U);
}

// As the request to it leaves.
client::HttpRequest routed(const std::string& settings, const std::string& url,
                           std::map<std::string, std::string> environment) {
  const auto parsed = node::parse_node_settings("[node]\nname = \"n\"\n" + settings, "larder.toml");
  EXPECT_TRUE(parsed) << parsed.error().message;
  Places places;
  EXPECT_TRUE(revocation_requests(*parsed, std::move(environment), places.clock,
                                  places.exchange())(request_to(url)));
  return places.asked.empty() ? client::HttpRequest() : places.asked.front();
}

TEST(RevocationRequests, ProxyIsThatOfTheSettingsElseOfTheEnvironment) {
  const std::map<std::string, std::string> environment{{"http_proxy", "http://other.test:8080"},
                                                       {"no_proxy", "inside.test"}};
  const std::string proxy = "proxy = \"http://proxy.test:3128\"\n";
  const std::string site = "connection_names = [\"node1.test\"]\nhttp_listen = [\"0.0.0.0:80\"]\n";
  EXPECT_EQ(routed("", "http://ca.test/", {}).proxy, "");
  EXPECT_EQ(routed("", "http://ca.test/", environment).proxy, "http://other.test:8080");
  EXPECT_EQ(routed("", "http://inside.test/", environment).proxy, "");
  EXPECT_EQ(routed(proxy, "http://ca.test/", environment).proxy, "http://proxy.test:3128");
  const auto own = routed(site, "http://node1.test/.larder/pki/a.crl", environment);
  EXPECT_EQ(own.connect_to, "127.0.0.1");
  EXPECT_EQ(own.proxy, "") << "its own listener needs none";
  EXPECT_EQ(routed(site, "http://node1.test/a.crl", environment).connect_to, "");
}

}  // namespace
}  // namespace larder::cli
