#include "cache/freshness.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "cache/variant.h"
#include "cache/withheld_fields.h"
#include "http/date.h"

namespace larder::cache {
namespace {

using std::chrono::seconds;
using Kind = UseDecision::Kind;

const base::WallTime kNow = base::from_unix_seconds(1795300000);
constexpr std::string_view kKey = "http\na.example\n/";
constexpr http::Exchange kFill = http::Exchange::SharedFill;

std::string date_field(std::string_view name, seconds from_now) {
  return std::string(name) + ": " + http::date_text(kNow + from_now) + "\r\n";
}

http::ResponseHead response(const std::string& fields, int status = 200) {
  auto head =
      http::parse_response_head("HTTP/1.1 " + std::to_string(status) + " X\r\n" + fields + "\r\n");
  EXPECT_TRUE(head) << head.error().message;
  return head ? *head : http::ResponseHead{};
}

// A request whose text lives as long as it does.
struct Request {
  explicit Request(const std::string& fields = "", const std::string& method = "GET")
      : text(method + " / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n") {
    EXPECT_EQ(http::parse_request_head(text, head).state, http::HeadParse::State::Complete);
  }
  std::string text;
  http::RequestHead head;
};

StoreDecision store(const std::string& fields, const std::string& request_fields = "",
                    int status = 200, const StorePolicy& policy = {}) {
  const Request request(request_fields);
  return decide_to_store(kKey, describe_fill(request.head, kFill), response(fields, status),
                         {kNow, kNow}, policy);
}

TEST(Store, KeepsOnlyWhatMayBeShared) {
  const std::string fresh = "Cache-Control: max-age=60\r\n";
  const std::string tag = "ETag: \"a\"\r\n";
  struct Row {
    std::string response;
    std::string request;
    int status;
    std::string reason;  // empty: stored
  };
  const Row rows[] = {
      {fresh, "", 200, ""},
      {tag, "", 200, ""},
      {fresh, "", 404, ""},
      {fresh, "", 301, ""},
      {"", "", 404, "neither fresh nor verifiable"},
      {"", "", 200, "neither fresh nor verifiable"},
      {"Expires: 0\r\n", "", 200, "neither fresh nor verifiable"},
      {date_field("Last-Modified", seconds{-1000}), "", 200, ""},
      {fresh, "", 204, ""},
      {fresh, "", 302, ""},
      {fresh, "", 307, ""},
      {fresh, "", 500, ""},
      {fresh, "", 403, ""},
      {fresh, "", 599, ""},
      {fresh, "", 299, ""},
      {fresh, "", 401, "status"},
      {fresh, "", 407, "status"},
      {fresh, "", 408, "status"},
      {fresh, "", 412, "status"},
      {fresh, "", 416, "status"},
      {fresh, "", 425, "status"},
      {fresh, "", 429, "status"},
      {fresh, "", 304, "status"},
      {tag, "", 302, "status without a lifetime"},
      {tag, "", 201, "status without a lifetime"},
      {tag, "", 503, "status without a lifetime"},
      {"Cache-Control: max-age=0\r\n" + tag, "", 302, ""},
      {"Cache-Control: max-age=0\r\n" + tag, "", 503, "an error that is not fresh"},
      {"Cache-Control: public\r\n" + date_field("Last-Modified", seconds{-1000}), "", 599, ""},
      {date_field("Last-Modified", seconds{-1000}), "", 599, "status without a lifetime"},
      {date_field("Last-Modified", seconds{-1000}), "", 405, ""},
      {"Cache-Control: no-store, must-understand, max-age=60\r\n", "", 200, ""},
      {"Cache-Control: no-store, must-understand, max-age=60\r\n", "", 599,
       "must-understand of an unknown status"},
      {"Cache-Control: must-understand, max-age=60\r\n", "", 299,
       "must-understand of an unknown status"},
      {"Cache-Control: max-age=0, stale-if-error=60\r\n", "", 200, ""},
      {"Cache-Control: max-age=0, stale-while-revalidate=60\r\n", "", 200, ""},
      {"Cache-Control: no-store, max-age=60\r\n", "", 200, "no-store"},
      {"Cache-Control: private\r\n" + tag, "", 200, "private"},
      {"Cache-Control: private=\"A\", max-age=60\r\n", "", 200, ""},
      {"Cache-Control: private=\"A B\", max-age=60\r\n", "", 200, "private"},
      {"Cache-Control: max-age=60 x\r\n", "", 200, "malformed Cache-Control"},
      {"CDN-Cache-Control: no-store\r\n" + fresh, "", 200, "no-store"},
      {"CDN-Cache-Control: max-age=60\r\nCache-Control: no-store\r\n", "", 200, ""},
      {"CDN-Cache-Control: private\r\n" + fresh, "", 200, "private"},
      {"CDN-Cache-Control: max-age=60, &&\r\nCache-Control: no-store\r\n", "", 200, "no-store"},
      {"CDN-Cache-Control: max-age=\"60\"\r\nCache-Control: no-store\r\n", "", 200, "no-store"},
      {"Vary: *\r\n" + fresh, "", 200, "Vary: *"},
      {"Vary: a, *\r\n" + fresh, "", 200, "Vary: *"},
      {"Vary: a b\r\n" + fresh, "", 200, "malformed Vary"},
      {"Vary: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p\r\n" + fresh, "", 200, ""},
      {"Vary: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n" + fresh, "", 200,
       "Vary names too many fields"},
      {"Set-Cookie: a\r\n" + fresh, "", 200, "Set-Cookie"},
      {"Set-Cookie: a\r\nCache-Control: public, max-age=60\r\n", "", 200, ""},
      {fresh, "Authorization: Basic x\r\n", 200, "request with Authorization"},
      {"Cache-Control: public, max-age=60\r\n", "Authorization: Basic x\r\n", 200, ""},
      {"Cache-Control: s-maxage=60\r\n", "Authorization: Basic x\r\n", 200, ""},
      {"Cache-Control: must-revalidate, max-age=60\r\n", "Authorization: Basic x\r\n", 200, ""},
      {fresh, "Cache-Control: no-store\r\n", 200, "no-store of the request"},
      {fresh, "Content-Length: 5\r\n", 200, "request with a body"},
      {fresh + "Content-Range: bytes 0-4/*\r\n", "", 206, "206 without a complete length"},
      {fresh + "Content-Range: bytes 0-4/9\r\n", "", 206, ""},
  };
  for (const Row& row : rows) {
    const StoreDecision decision = store(row.response, row.request, row.status);
    EXPECT_EQ(decision.store, row.reason.empty()) << row.response << row.request;
    EXPECT_EQ(decision.reason, row.reason) << row.response << row.request;
  }
  const Request head("", "HEAD");
  EXPECT_FALSE(
      decide_to_store(kKey, describe_fill(head.head, kFill), response(fresh), {kNow, kNow}, {})
          .store);
}

TEST(Store, SharesCookiesOnlyWithExplicitFreshnessAndPolicy) {
  const auto cookies = [](const std::string& fields, bool shares) {
    const StorePolicy policy{.shares_cookies = shares};
    const StoreDecision decision = store("Set-Cookie: a=b\r\n" + fields, "", 200, policy);
    if (!decision.store) return std::string(decision.reason);
    return std::string(decision.response.field(http::FieldName::SetCookie));
  };
  const std::string guess = date_field("Last-Modified", seconds{-1000});
  EXPECT_EQ(cookies("Cache-Control: max-age=60\r\n", true), "a=b");
  EXPECT_EQ(cookies(date_field("Expires", seconds{60}), true), "a=b");
  EXPECT_EQ(cookies(guess, true), "Set-Cookie");
  EXPECT_EQ(cookies("Cache-Control: max-age=60\r\n", false), "Set-Cookie");
  EXPECT_EQ(cookies("Cache-Control: public, max-age=60\r\n", false), "");
  EXPECT_EQ(cookies("Cache-Control: max-age=60, no-cache=\"Set-Cookie\"\r\n", true), "");
  EXPECT_EQ(cookies("Cache-Control: private=\"Set-Cookie\", max-age=60\r\n", false), "");
}

TEST(Store, LeavesOutTheFieldsOfQualifiedDirectives) {
  const auto stored = store(
                          "Cache-Control: max-age=60, private=\"X-A\", no-cache=\"x-b\"\r\n"
                          "X-A: 1\r\nX-B: 2\r\nX-C: 3\r\n")
                          .response;
  ASSERT_EQ(stored.fields.size(), 2u);
  EXPECT_EQ(stored.fields[1].name, "X-C");
  EXPECT_FALSE(stored.freshness.always_revalidate);
}

TEST(Store, GivesTheFieldsOfQualifiedDirectivesToTheFirstAlone) {
  auto head = response(
      "Cache-Control: max-age=60, private=\"Set-Cookie, connection\", no-cache=x-a\r\n"
      "Set-Cookie: a=b\r\nx-a: 1\r\nX-B: 2\r\nConnection: close\r\n");
  const auto fields = fields_for_first(head);
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].name, "Set-Cookie");
  EXPECT_EQ(fields[1].name, "X-A");
  leave_out_for_others(head, {.shares_cookies = true});
  EXPECT_EQ(head.count(http::FieldName::SetCookie), 0u);
  EXPECT_EQ(head.field("X-A"), "");
  EXPECT_EQ(head.field("X-B"), "2");
  auto shared = response("Cache-Control: public, max-age=60\r\nSet-Cookie: a=b\r\n");
  EXPECT_TRUE(fields_for_first(shared).empty());
  leave_out_for_others(shared, {.shares_cookies = true});
  EXPECT_EQ(shared.count(http::FieldName::SetCookie), 1u);
  leave_out_for_others(shared, {});
  EXPECT_EQ(shared.count(http::FieldName::SetCookie), 0u);
}

TEST(Store, KeepsNothingThatVariesByWhoAskedForIt) {
  const auto stores = [](const std::string& vary, const std::string& request,
                         const StorePolicy& policy = {}) {
    const std::string fields = "Cache-Control: public, max-age=60\r\nVary: " + vary + "\r\n";
    return store(fields, request, 200, policy).store;
  };
  EXPECT_FALSE(stores("X-A, authorization", "Authorization: Basic eA==\r\n"));
  EXPECT_FALSE(stores("Cookie", "Cookie: a=b\r\n"));
  EXPECT_TRUE(stores("Authorization, Cookie", ""));
  EXPECT_TRUE(stores("Authorization", "Cookie: a=b\r\n"));
  EXPECT_TRUE(stores("Cookie", "Cookie: a=b\r\n", {.ignored_vary = {"cookie"}}));
}

TEST(Store, TakesAPostForAGetOnlyWhereItSaysThatItIsOne) {
  const http::HttpAddress target{
      .https = false, .authority = *http::parse_authority("a"), .target = "/x?q"};
  const auto kept = [&](const std::string& fields, const char* method = "POST", int status = 200) {
    const Request request("Content-Length: 3\r\n", method);
    const auto head = response(fields, status);
    const auto as_get = describe_post_as_get(request.head, head, target, kFill);
    return as_get && decide_to_store(kKey, *as_get, head, {kNow, kNow}, {}).store;
  };
  const std::string fresh = "Cache-Control: max-age=60\r\n";
  EXPECT_TRUE(kept(fresh + "Content-Location: /x?q\r\n"));
  EXPECT_TRUE(kept(fresh + "Content-Location: http://a/x?q\r\n"));
  EXPECT_FALSE(kept(fresh + "Content-Location: /x\r\n"));
  EXPECT_FALSE(kept(fresh + "Content-Location: http://b/x?q\r\n"));
  EXPECT_FALSE(kept(fresh));
  EXPECT_FALSE(kept("ETag: \"a\"\r\nContent-Location: /x?q\r\n"));
  EXPECT_FALSE(kept("Cache-Control: no-store, max-age=60\r\nContent-Location: /x?q\r\n"));
  EXPECT_FALSE(kept(fresh + "Content-Location: /x?q\r\n", "PUT"));
  EXPECT_FALSE(kept(fresh + "Content-Location: /x?q\r\n", "POST", 201));
}

TEST(Store, SharesOnlySuccessUnderAStrippedKey) {
  const StorePolicy policy{.key_is_stripped = true};
  EXPECT_TRUE(store("Cache-Control: max-age=60\r\n", "", 200, policy).store);
  EXPECT_FALSE(store("Cache-Control: max-age=60\r\n", "", 404, policy).store);
  EXPECT_FALSE(store("Cache-Control: max-age=60\r\n", "", 301, policy).store);
}

TEST(Store, KeepsEndToEndFieldsInCanonicalSpelling) {
  const auto stored =
      store(
          "cache-control: public, max-age=60\r\netag: \"a\"\r\ncontent-length: 5\r\nage: 3\r\n"
          "set-cookie: a\r\nconnection: x-hop\r\nx-hop: 1\r\nx-other: 2\r\n")
          .response;
  ASSERT_EQ(stored.fields.size(), 3u);
  EXPECT_EQ(stored.fields[0].name, "Cache-Control");
  EXPECT_EQ(stored.fields[1].name, "ETag");
  EXPECT_EQ(stored.fields[2].name, "X-Other");
  EXPECT_EQ(stored.length, 5u);
  EXPECT_EQ(stored.freshness.initial_age, seconds{3});
  const auto part = store("ETag: \"a\"\r\nContent-Range: bytes 0-4/900\r\n", "", 206).response;
  EXPECT_EQ(part.status, 200);
  EXPECT_EQ(part.length, 900u);
}

seconds lifetime(const std::string& fields, const StorePolicy& policy = {}) {
  return store("ETag: \"a\"\r\n" + fields, "", 200, policy).response.freshness.lifetime;
}

TEST(Lifetime, FollowsTheStandardsOrder) {
  const std::string expires = date_field("Date", seconds{0}) + date_field("Expires", seconds{30});
  EXPECT_EQ(lifetime("Cache-Control: max-age=60, s-maxage=90\r\n" + expires), seconds{90});
  EXPECT_EQ(lifetime("Cache-Control: max-age=60\r\n" + expires), seconds{60});
  EXPECT_EQ(lifetime(expires), seconds{30});
  EXPECT_EQ(lifetime("CDN-Cache-Control: max-age=7\r\nCache-Control: s-maxage=90\r\n" + expires),
            seconds{7});
  EXPECT_EQ(lifetime(expires + date_field("Expires", seconds{40})), seconds{0});
  EXPECT_EQ(lifetime("Expires: -1\r\n" + date_field("Last-Modified", seconds{-1000})), seconds{0});
  EXPECT_EQ(lifetime("Cache-Control: max-age=x\r\n"), seconds{0});
  EXPECT_EQ(lifetime(""), seconds{0});
  EXPECT_EQ(lifetime("Expires: THU, 18 AUG 2050 02:01:18 gmt\r\n") > seconds{0}, true);
}

TEST(Lifetime, SaysWhereItComesFrom) {
  const auto source = [](const std::string& fields, const StorePolicy& policy = {}) {
    return lifetime_source(store("ETag: \"a\"\r\n" + fields, "", 200, policy).response, policy);
  };
  EXPECT_EQ(source("Cache-Control: max-age=60, s-maxage=90\r\n"), "s-maxage");
  EXPECT_EQ(source("Cache-Control: max-age=60\r\n"), "max-age");
  EXPECT_EQ(source("CDN-Cache-Control: max-age=60\r\n"), "max-age of CDN-Cache-Control");
  EXPECT_EQ(source(date_field("Expires", seconds{60})), "Expires");
  EXPECT_EQ(source("Expires: 0\r\n"), "an Expires that is no date");
  EXPECT_EQ(source(date_field("Last-Modified", seconds{-1000})), "a tenth of its age when it came");
  EXPECT_EQ(source(""), "nothing");
  EXPECT_EQ(source("", {.lifetime = seconds{5}}), "the origin's setting");
}

TEST(Lifetime, IsATenthOfTheAgeWithinALimitWhenNothingIsSaid) {
  const std::string date = date_field("Date", seconds{0});
  EXPECT_EQ(lifetime(date + date_field("Last-Modified", seconds{-1000})), seconds{100});
  EXPECT_EQ(lifetime(date + date_field("Last-Modified", seconds{-100'000'000})), seconds{86400});
  EXPECT_EQ(lifetime(date + date_field("Last-Modified", seconds{1000})), seconds{0});
  EXPECT_EQ(lifetime(date + date_field("Last-Modified", seconds{-1000}) + "Pragma: no-cache\r\n"),
            seconds{0});
}

TEST(Lifetime, CanBeTheOriginsSetting) {
  StorePolicy policy;
  policy.lifetime = seconds{5};
  EXPECT_EQ(lifetime("Cache-Control: max-age=60\r\n", policy), seconds{5});
}

TEST(Age, CountsTransitAndApparentAge) {
  const Request request;
  const auto age = [&](const std::string& fields, seconds delay) {
    const auto decision = decide_to_store(kKey, describe_fill(request.head, kFill),
                                          response("Cache-Control: max-age=60\r\n" + fields),
                                          {kNow, kNow + delay}, {});
    return current_age(decision.response, kNow + delay + seconds{10});
  };
  EXPECT_EQ(age("", seconds{0}), seconds{10});
  EXPECT_EQ(age("Age: 5\r\n", seconds{2}), seconds{17});
  EXPECT_EQ(age(date_field("Date", seconds{-30}), seconds{0}), seconds{40});
  EXPECT_EQ(age(date_field("Date", seconds{30}), seconds{0}), seconds{10});
  EXPECT_EQ(age("Age: -5\r\n", seconds{0}), seconds{10});
}

TEST(Age, IsNeverNegativeWhenTheClockStepsBack) {
  const auto stored = store("Cache-Control: max-age=60\r\n").response;
  EXPECT_EQ(current_age(stored, kNow - seconds{1000}), seconds{0});
}

Kind use(const StoredResponse& stored, const std::string& request_fields, seconds later,
         const std::string& method = "GET") {
  const Request request(request_fields, method);
  return decide_to_use(&stored, kKey, request.head, {}, kNow + later).kind;
}

TEST(Use, ServesWhileFreshThenRevalidates) {
  const auto stored = store("Cache-Control: max-age=60\r\nETag: \"a\"\r\n").response;
  EXPECT_EQ(use(stored, "", seconds{59}), Kind::Serve);
  EXPECT_EQ(use(stored, "", seconds{60}), Kind::Revalidate);
  EXPECT_EQ(use(stored, "", seconds{0}, "HEAD"), Kind::Serve);
  EXPECT_EQ(use(stored, "", seconds{0}, "POST"), Kind::Pass);
  EXPECT_EQ(use(stored, "Content-Length: 5\r\n", seconds{0}), Kind::Pass);
  EXPECT_EQ(use(store("Cache-Control: max-age=60\r\n").response, "", seconds{60}),
            Kind::Revalidate);
  const Request request;
  EXPECT_EQ(decide_to_use(nullptr, kKey, request.head, {}, kNow).kind, Kind::Miss);
  EXPECT_EQ(decide_to_use(&stored, "other", request.head, {}, kNow).kind, Kind::Miss);
  const UseDecision decision = decide_to_use(&stored, kKey, request.head, {}, kNow + seconds{20});
  EXPECT_EQ(decision.age, seconds{20});
  EXPECT_EQ(decision.remaining, seconds{40});
}

TEST(Use, ObeysTheClientsDirectives) {
  const auto stored = store("Cache-Control: max-age=60\r\nETag: \"a\"\r\n").response;
  const seconds later{20};
  EXPECT_EQ(use(stored, "Cache-Control: no-cache\r\n", later), Kind::Revalidate);
  EXPECT_EQ(use(stored, "Pragma: no-cache\r\n", later), Kind::Revalidate);
  EXPECT_EQ(use(stored, "Pragma: no-cache\r\nCache-Control: max-age=30\r\n", later), Kind::Serve);
  EXPECT_EQ(use(stored, "Cache-Control: max-age=0\r\n", later), Kind::Revalidate);
  EXPECT_EQ(use(stored, "Cache-Control: max-age=20\r\n", later), Kind::Serve);
  EXPECT_EQ(use(stored, "Cache-Control: min-fresh=41\r\n", later), Kind::Revalidate);
  EXPECT_EQ(use(stored, "Cache-Control: min-fresh=40\r\n", later), Kind::Serve);
  EXPECT_EQ(use(stored, "Cache-Control: max-stale=10\r\n", seconds{70}), Kind::Serve);
  EXPECT_EQ(use(stored, "Cache-Control: max-stale=10\r\n", seconds{71}), Kind::Revalidate);
  EXPECT_EQ(use(stored, "Cache-Control: max-stale\r\n", seconds{100000}), Kind::Serve);
  EXPECT_EQ(use(stored, "Cache-Control: only-if-cached\r\n", later), Kind::Serve);
  EXPECT_EQ(use(stored, "Cache-Control: only-if-cached\r\n", seconds{60}), Kind::Unsatisfied);
  EXPECT_EQ(use(stored, "Cache-Control: no-store\r\n", later), Kind::Serve);
  EXPECT_EQ(use(stored, "Cache-Control: no-store\r\n", seconds{60}), Kind::Pass);
}

TEST(Use, ObeysTheOriginsDirectives) {
  const auto stored = [](const std::string& control) {
    return store("Cache-Control: " + control + "\r\nETag: \"a\"\r\n").response;
  };
  EXPECT_EQ(use(stored("max-age=60, no-cache"), "", seconds{0}), Kind::Revalidate);
  EXPECT_EQ(use(stored("max-age=60, no-cache=\"A\""), "", seconds{0}), Kind::Serve);
  EXPECT_EQ(use(stored("max-age=60, no-cache=\"A B\""), "", seconds{0}), Kind::Revalidate);
  const std::string stale = "Cache-Control: max-stale\r\n";
  EXPECT_EQ(use(stored("max-age=60, must-revalidate"), stale, seconds{61}), Kind::Revalidate);
  EXPECT_EQ(use(stored("max-age=60, proxy-revalidate"), stale, seconds{61}), Kind::Revalidate);
  EXPECT_EQ(use(stored("s-maxage=60"), stale, seconds{61}), Kind::Revalidate);
  const auto background = stored("max-age=60, stale-while-revalidate=10");
  EXPECT_EQ(use(background, "", seconds{69}), Kind::ServeStaleWhileRevalidate);
  EXPECT_EQ(use(background, "", seconds{70}), Kind::Revalidate);
  EXPECT_EQ(use(stored("max-age=60, must-revalidate, stale-while-revalidate=10"), "", seconds{61}),
            Kind::Revalidate);
}

TEST(Use, AnswersAuthorizationOnlyByExplicitPermission) {
  const std::string authorization = "Authorization: Basic x\r\n";
  for (const char* control : {"public, max-age=60", "s-maxage=60", "max-age=60, must-revalidate"}) {
    const auto stored = store("Cache-Control: " + std::string(control) + "\r\n").response;
    EXPECT_EQ(use(stored, authorization, seconds{0}), Kind::Serve) << control;
    EXPECT_EQ(use(stored, authorization, seconds{60}), Kind::Pass) << control;
  }
  EXPECT_EQ(use(store("Cache-Control: max-age=60\r\n").response, authorization, seconds{0}),
            Kind::Pass);
}

TEST(Use, ComparesTheNominatedFieldsAsTheOriginSeesThem) {
  const std::string vary =
      "Cache-Control: max-age=60\r\nVary: User-Agent, Accept-Encoding, X-A\r\n";
  const auto stored = store(vary, "User-Agent: u\r\nX-A: 1\r\nAccept-Encoding: gzip\r\n").response;
  ASSERT_EQ(stored.vary.size(), 2u);
  EXPECT_EQ(stored.vary[0].name, "user-agent");
  EXPECT_EQ(stored.vary[0].value, "u");
  EXPECT_FALSE(stored.vary[1].value);
  EXPECT_EQ(use(stored, "User-Agent: u\r\n", seconds{0}), Kind::Serve);
  EXPECT_TRUE(matches_vary(stored, Request("User-Agent: u\r\n").head, kFill));
  EXPECT_FALSE(matches_vary(stored, Request("User-Agent: v\r\n").head, kFill));
  EXPECT_EQ(use(stored, "user-agent: u\r\nX-A: 2\r\n", seconds{0}), Kind::Serve);
  EXPECT_EQ(use(stored, "User-Agent: v\r\n", seconds{0}), Kind::Miss);
  EXPECT_EQ(use(stored, "", seconds{0}), Kind::Miss);
  StorePolicy policy;
  policy.ignored_vary = {"user-agent"};
  EXPECT_EQ(store(vary, "User-Agent: u\r\n", 200, policy).response.vary.size(), 1u);
}

TEST(Use, PassesWhoSaysWhoAsksWhereAnswersVaryByIt) {
  const auto stored =
      store("Cache-Control: public, max-age=60\r\nVary: Authorization, Cookie\r\n").response;
  EXPECT_EQ(use(stored, "", seconds{0}), Kind::Serve);
  EXPECT_EQ(use(stored, "Authorization: Basic eA==\r\n", seconds{0}), Kind::Pass);
  EXPECT_EQ(use(stored, "Cookie: a=b\r\n", seconds{0}), Kind::Pass);
  EXPECT_EQ(use(stored, "Cookie: a=b\r\nCache-Control: only-if-cached\r\n", seconds{0}),
            Kind::Unsatisfied);
  EXPECT_FALSE(matches_vary(stored, Request("Cookie: a=b\r\n").head, kFill));
}

TEST(Use, SharesOnlySuccessUnderAStrippedKey) {
  const auto stored = store("Cache-Control: max-age=60\r\n", "", 404).response;
  const Request request;
  const StorePolicy policy{.key_is_stripped = true};
  EXPECT_EQ(decide_to_use(&stored, kKey, request.head, policy, kNow).kind, Kind::Miss);
  EXPECT_EQ(decide_to_use(&stored, kKey, request.head, {}, kNow).kind, Kind::Serve);
}

TEST(ServeOnError, IsBoundedAndNeverAgainstMustRevalidate) {
  const auto stored = store("Cache-Control: max-age=60, stale-if-error=10\r\n").response;
  EXPECT_TRUE(may_serve_on_error(stored, seconds{0}, kNow + seconds{70}));
  EXPECT_FALSE(may_serve_on_error(stored, seconds{0}, kNow + seconds{71}));
  EXPECT_TRUE(may_serve_on_error(stored, seconds{100}, kNow + seconds{160}));
  const auto strict =
      store("Cache-Control: max-age=60, stale-if-error=10, must-revalidate\r\n").response;
  EXPECT_FALSE(may_serve_on_error(strict, seconds{100}, kNow + seconds{61}));
  const auto error = store("Cache-Control: max-age=60, stale-if-error=10\r\n", "", 404).response;
  EXPECT_FALSE(may_serve_on_error(error, seconds{100}, kNow + seconds{61}));
}

TEST(Revalidation, RenewsFieldsAndAgesButNotWhatDescribesTheBytes) {
  auto stored = store(
                    "Cache-Control: max-age=60\r\nETag: \"a\"\r\nX-A: 1\r\nX-A: 2\r\n"
                    "Content-Encoding: br\r\nContent-Type: t\r\nContent-Length: 5\r\n")
                    .response;
  const base::WallTime later = kNow + seconds{100};
  const auto renewed = response(
      "Cache-Control: max-age=30\r\nETag: \"a\"\r\nX-A: 3\r\nContent-Type: other\r\n"
      "Content-Length: 0\r\nContent-Encoding: gzip\r\nSet-Cookie: a\r\nX-New: n\r\n",
      304);
  EXPECT_EQ(update_after_304(stored, renewed, {later, later}, {}), Refreshed::Updated);
  EXPECT_EQ(stored.field(http::FieldName::ContentEncoding), "br");
  EXPECT_EQ(stored.field(http::FieldName::ContentType), "other");
  EXPECT_EQ(stored.field(http::FieldName::CacheControl), "max-age=30");
  EXPECT_EQ(stored.length, 5u);
  EXPECT_EQ(stored.fields.size(), 6u);
  EXPECT_EQ(use(stored, "", seconds{129}), Kind::Serve);
  EXPECT_EQ(use(stored, "", seconds{130}), Kind::Revalidate);
}

TEST(Revalidation, TakesNoCookieOfWhoAskedAndLeavesOutWhatIsWithheldFromNowOn) {
  const std::string old =
      "Cache-Control: max-age=60\r\nETag: \"a\"\r\nX-User: a\r\nSet-Cookie: for=all\r\n";
  const StorePolicy policy{.shares_cookies = true};
  auto stored = store(old, "", 200, policy).response;
  EXPECT_EQ(update_after_304(stored, response("Set-Cookie: user=a\r\n", 304), {kNow, kNow}, policy),
            Refreshed::Updated);
  EXPECT_EQ(stored.field(http::FieldName::SetCookie), "for=all");
  EXPECT_EQ(update_after_head(stored, response("Set-Cookie: user=b\r\n"), {kNow, kNow}, policy),
            Refreshed::Updated);
  EXPECT_EQ(stored.field(http::FieldName::SetCookie), "for=all");
  const auto for_all = response("Cache-Control: max-age=60\r\nSet-Cookie: for=everybody\r\n", 304);
  EXPECT_EQ(update_after_304(stored, for_all, {kNow, kNow}, policy), Refreshed::Updated);
  EXPECT_EQ(stored.field(http::FieldName::SetCookie), "for=everybody");
  const auto withholds = response(
      "Cache-Control: max-age=60, private=\"X-User\", no-cache=\"Set-Cookie\"\r\nETag: \"a\"\r\n",
      304);
  EXPECT_EQ(update_after_304(stored, withholds, {kNow, kNow}, policy), Refreshed::Updated);
  ASSERT_EQ(stored.fields.size(), 2u);
  EXPECT_EQ(stored.fields[0].name, "ETag");
  EXPECT_EQ(stored.fields[1].name, "Cache-Control");
}

TEST(Revalidation, KnowsWhenItIsNotAboutWhatIsStored) {
  const auto refreshed = [](const std::string& fields, int status = 304) {
    auto stored = store("Cache-Control: max-age=60\r\nETag: \"a\"\r\n").response;
    return update_after_304(stored, response(fields, status), {kNow, kNow}, {});
  };
  EXPECT_EQ(refreshed(""), Refreshed::Updated);
  EXPECT_EQ(refreshed("ETag: W/\"a\"\r\n"), Refreshed::Updated);
  EXPECT_EQ(refreshed("ETag: \"b\"\r\n"), Refreshed::NotThis);
  EXPECT_EQ(refreshed("Last-Modified: Sun, 01 Nov 2026 10:00:00 GMT\r\n"), Refreshed::NotThis);
  EXPECT_EQ(refreshed("ETag: \"a\"\r\n", 200), Refreshed::NotThis);
  EXPECT_EQ(refreshed("Cache-Control: no-store\r\n"), Refreshed::Drop);
  EXPECT_EQ(refreshed("Cache-Control: private\r\n"), Refreshed::Drop);
}

TEST(Revalidation, TakesAwayWhatAWholeAnswerReplacesUnstored) {
  const StorePolicy stripped{.key_is_stripped = true};
  for (const int status : {200, 204, 302, 401, 403, 404, 410}) {
    EXPECT_TRUE(takes_away(status, {})) << status;
    EXPECT_EQ(takes_away(status, stripped), status < 300) << status;
  }
  for (const int status :
       {206, 304, 400, 405, 406, 407, 408, 412, 414, 416, 425, 429, 431, 500, 503}) {
    EXPECT_FALSE(takes_away(status, {})) << status;
  }
}

TEST(Revalidation, LearnsFromAHeadOrGivesUpWhatIsStored) {
  const auto refreshed = [](const std::string& fields, int status = 200) {
    auto stored =
        store("Cache-Control: max-age=60\r\nETag: \"a\"\r\nContent-Length: 5\r\n").response;
    const Refreshed result = update_after_head(stored, response(fields, status), {kNow, kNow}, {});
    return std::pair(result, std::string(stored.field(http::FieldName::CacheControl)));
  };
  const auto updated = refreshed("Cache-Control: max-age=9\r\nContent-Length: 5\r\n");
  EXPECT_EQ(updated, std::pair(Refreshed::Updated, std::string("max-age=9")));
  EXPECT_EQ(refreshed("ETag: \"a\"\r\n").first, Refreshed::Updated);
  EXPECT_EQ(refreshed("ETag: \"b\"\r\n").first, Refreshed::NotThis);
  EXPECT_EQ(refreshed("Content-Length: 6\r\n").first, Refreshed::NotThis);
  EXPECT_EQ(refreshed("Last-Modified: Sun, 01 Nov 2026 10:00:00 GMT\r\n").first,
            Refreshed::NotThis);
  EXPECT_EQ(refreshed("Cache-Control: no-store\r\n").first, Refreshed::Drop);
}

TEST(Revalidation, AsksWithTheStoredValidators) {
  const auto stored =
      store("ETag: W/\"a\"\r\n" + date_field("Last-Modified", seconds{-1000})).response;
  const auto fields = validation_fields(stored);
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_EQ(fields[0].name, "If-None-Match");
  EXPECT_EQ(fields[0].value, "W/\"a\"");
  EXPECT_EQ(fields[1].name, "If-Modified-Since");
  EXPECT_TRUE(validation_fields(store("Cache-Control: max-age=60\r\n").response).empty());
}

}  // namespace
}  // namespace larder::cache
