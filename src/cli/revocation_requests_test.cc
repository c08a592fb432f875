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
  const auto ask = revocation_requests({}, places.clock, places.exchange());
  for (const char* url : {"http://a.test/", "http://b.test/", "http://c.test/"}) {
    EXPECT_TRUE(ask(request_to(url))) << url;
    places.clock.advance(seconds(60));  // an object was read
  }
  EXPECT_EQ(places.asked.size(), 3U);
}

TEST(RevocationRequests, TakeHalfAMinuteTogetherAndTheRestIsNotAsked) {
  Places places;
  places.takes = seconds(60);
  const auto ask = revocation_requests({}, places.clock, places.exchange());
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

}  // namespace
}  // namespace larder::cli
