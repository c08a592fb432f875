#include "signers/renewal_info.h"

#include <gtest/gtest.h>

namespace larder::signers {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// The certificate of RFC 9773, appendix A.
constexpr std::string_view kExample = R"(-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDIDAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
)";

TEST(RenewalInfo, IdIsThatOfTheStandardsExample) {
  const auto certificate = crypto::Certificate::from_pem(kExample);
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_EQ(renewal_info_id(*certificate), "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyA");
  EXPECT_EQ(renewal_info_url("https://a.test/renewal-info", "x.y"),
            "https://a.test/renewal-info/x.y");
  EXPECT_EQ(renewal_info_url("https://a.test/ari/", "x.y"), "https://a.test/ari/x.y");
}

TEST(RenewalInfo, WindowIsReadInEveryFormOfUtc) {
  for (const std::string& start :
       {std::string("2027-01-15T08:00:00Z"), std::string("2027-01-15T08:00:00.123456789Z"),
        std::string("2027-01-15T08:00:00+00:00")}) {
    const auto window =
        parse_renewal_info(R"({"suggestedWindow": {"start": ")" + start +
                           R"(", "end": "2027-01-17T08:00:00Z"}, "explanationURL": "https://x/"})");
    ASSERT_TRUE(window) << start;
    EXPECT_EQ(window->start, base::from_unix_seconds(1'800'000'000));
    EXPECT_EQ(window->end - window->start, hours(48));
  }
}

TEST(RenewalInfo, WhatIsNoWindowIsRefused) {
  for (
      const std::string_view text :
      {"", "[]", "{}", R"({"suggestedWindow": []})", R"({"suggestedWindow": {"start": 1}})",
       R"({"suggestedWindow": {"start": "soon", "end": "2027-01-17T08:00:00Z"}})",
       R"({"suggestedWindow": {"start": "2027-01-17T08:00:00.Z", "end": "2027-01-18T08:00:00Z"}})",
       R"({"suggestedWindow": {"start": "2027-01-17T08:00:00Z", "end": "2027-01-17T08:00:00Z"}})",
       R"({"suggestedWindow": {"start": "2027-01-18T08:00:00Z", "end": "2027-01-17T08:00:00Z"}})"}) {
    EXPECT_FALSE(parse_renewal_info(text)) << text;
  }
  EXPECT_FALSE(parse_renewal_info(std::string(300'000, ' ')));
}

TEST(RenewalInfo, TimeToTheNextLookIsBounded) {
  EXPECT_EQ(until_next_look(std::nullopt), hours(6));
  EXPECT_EQ(until_next_look(seconds(0)), seconds(60));
  EXPECT_EQ(until_next_look(seconds(3600)), hours(1));
  EXPECT_EQ(until_next_look(hours(24 * 7)), hours(24));
}

}  // namespace
}  // namespace larder::signers
