#include "cache/redirect_limits.h"

#include <gtest/gtest.h>

#include "cache/freshness.h"
#include "http/date.h"

namespace larder::cache {
namespace {

using std::chrono::seconds;

constexpr base::WallTime kNow{std::chrono::seconds(1793520000)};

http::ResponseHead head(int status, const std::string& fields) {
  const auto parsed = http::parse_response_head("HTTP/1.1 " + std::to_string(status) + " X\r\n" +
                                                fields + "Content-Length: 0\r\n\r\n");
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? *parsed : http::ResponseHead{};
}

std::string control(const std::string& directives) {
  return "Cache-Control: " + directives + "\r\n";
}

http::ResponseHead behind(std::vector<http::ResponseHead> redirects, http::ResponseHead answer,
                          bool authorized = false) {
  RedirectLimits limits;
  for (const http::ResponseHead& redirect : redirects) limits.add(redirect, kNow);
  limits.narrow(answer, authorized, kNow);
  return answer;
}

std::string behind_302(const std::string& redirect, const std::string& answer) {
  return std::string(behind({head(302, redirect)}, head(200, answer)).field("Cache-Control"));
}

TEST(RedirectLimits, AreTheLeastLifetimeOfAll) {
  const std::string year = control("public, max-age=31536000, immutable");
  EXPECT_EQ(behind_302("", year), "max-age=0");
  EXPECT_EQ(behind_302(control("max-age=60"), year), "max-age=60");
  EXPECT_EQ(behind_302(control("public, max-age=60"), year), "public, max-age=60");
  EXPECT_EQ(behind_302(control("s-maxage=60") + "Age: 20\r\n", year),
            "public, max-age=40, must-revalidate");
  EXPECT_EQ(behind_302(control("max-age=60") + "Age: 70\r\n", year), "max-age=0");
  EXPECT_EQ(behind_302("Expires: " + http::date_text(kNow + seconds{60}) + "\r\n", year),
            "max-age=60");
  EXPECT_EQ(behind_302(control("max-age=60"), control("max-age=30")), "max-age=30");
  EXPECT_EQ(behind_302(control("max-age=60"), control("s-maxage=90, max-age=30")),
            "max-age=60, proxy-revalidate");
  EXPECT_EQ(behind_302(control("max-age=60"), ""), "");
  EXPECT_EQ(behind_302(control("max-age=60"),
                       "Last-Modified: " + http::date_text(kNow - seconds{6000}) + "\r\n"),
            "max-age=60");
  const auto both = behind({head(302, control("max-age=600")), head(307, control("max-age=60"))},
                           head(200, control("max-age=900")));
  EXPECT_EQ(both.field("Cache-Control"), "max-age=60");
}

TEST(RedirectLimits, DoNotCountTheAgeOfTheAnswerTwice) {
  const auto answer = behind({head(302, control("max-age=60"))},
                             head(200, control("max-age=900") + "Age: 500\r\n"));
  EXPECT_EQ(answer.field("Cache-Control"), "max-age=560");
}

TEST(RedirectLimits, AllowAGuessOnlyForPermanentRedirects) {
  const auto last_for = [](int status, const std::string& redirect) {
    return std::string(behind({head(status, redirect)}, head(200, control("max-age=31536000")))
                           .field("Cache-Control"));
  };
  EXPECT_EQ(last_for(301, ""), "max-age=86400");
  EXPECT_EQ(last_for(308, ""), "max-age=86400");
  EXPECT_EQ(last_for(308, control("max-age=5")), "max-age=5");
  EXPECT_EQ(last_for(307, ""), "max-age=0");
  EXPECT_EQ(last_for(303, ""), "max-age=0");
}

TEST(RedirectLimits, AreTheStrictestDirectivesOfAll) {
  const std::string fresh = "max-age=60, stale-while-revalidate=30, stale-if-error=30";
  EXPECT_EQ(behind_302(control("max-age=90, no-store"), control("max-age=60")),
            "max-age=60, no-cache");
  EXPECT_EQ(behind_302(control("max-age=90, private"), control("public, max-age=60")),
            "max-age=60, private");
  EXPECT_EQ(behind_302(control("max-age=90, no-cache"), control("max-age=60")),
            "max-age=60, no-cache");
  EXPECT_EQ(behind_302(control("max-age=90, must-revalidate"), control("max-age=60")),
            "max-age=60, must-revalidate");
  EXPECT_EQ(behind_302(control("max-age=90"), control(fresh)), "max-age=60");
  EXPECT_EQ(behind_302(control("max-age=90, stale-while-revalidate=10, stale-if-error=40"),
                       control(fresh)),
            "max-age=60, stale-if-error=30, stale-while-revalidate=10");
  EXPECT_EQ(behind_302(control("max-age=\"1"), control("max-age=60")), "max-age=0, no-store");
  EXPECT_EQ(behind_302(control("max-age=90"), control("private=\"A, B\", max-age=100")),
            "private=\"A, B\", max-age=90");
}

TEST(RedirectLimits, CountForTargetedDirectivesToo) {
  const auto answer = behind({head(302, "CDN-Cache-Control: max-age=60\r\n")},
                             head(200, control("no-store") + "CDN-Cache-Control: max-age=600\r\n"));
  EXPECT_EQ(answer.field("CDN-Cache-Control"), "max-age=60");
  EXPECT_EQ(answer.field("Cache-Control").substr(0, 8), "no-store");
}

TEST(RedirectLimits, LeaveWhatA304DoesNotSayToWhatIsStored) {
  const auto said = [](const std::string& redirect, const std::string& answer) {
    return std::string(behind({head(302, redirect)}, head(304, "ETag: \"a\"\r\n" + answer))
                           .field("Cache-Control"));
  };
  EXPECT_EQ(said(control("max-age=60, must-revalidate"), ""), "");
  EXPECT_EQ(said("", ""), "max-age=0");
  EXPECT_EQ(said(control("private"), ""), "max-age=0, private");
  EXPECT_EQ(said(control("max-age=60"), control("max-age=90")), "max-age=60");
}

TEST(RedirectLimits, KeepAuthorizedAnswersForThoseWhomEachRedirectAllows) {
  const auto answer = [](const std::string& redirect, bool authorized) {
    return std::string(behind({head(302, control(redirect))},
                              head(200, control("max-age=60, must-revalidate")), authorized)
                           .field("Cache-Control"));
  };
  EXPECT_EQ(answer("max-age=90", false), "max-age=60, must-revalidate");
  EXPECT_EQ(answer("max-age=90", true), "max-age=60, must-revalidate, private");
  EXPECT_EQ(answer("public, max-age=90", true), "max-age=60, must-revalidate");
}

TEST(RedirectLimits, NominateWhatEachRedirectVariesBy) {
  const auto answer = behind({head(302, control("max-age=90") + "Vary: Accept-Language\r\n")},
                             head(200, control("max-age=60") + "Vary: X-A\r\n"));
  ASSERT_EQ(answer.count(http::FieldName::Vary), 2u);
  EXPECT_EQ(answer.fields.back().value, "Accept-Language");
}

TEST(RedirectLimits, ChangeNothingWithoutARedirect) {
  EXPECT_EQ(behind({}, head(200, control("max-age=60"))).field("Cache-Control"), "max-age=60");
}

}  // namespace
}  // namespace larder::cache
