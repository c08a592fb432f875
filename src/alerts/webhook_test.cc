#include "alerts/webhook.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/testing.h"

namespace larder::alerts {
namespace {

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);
const Alert kAlert{.id = "1",
                   .at = kNow,
                   .kind = "certificate-expires",
                   .text = "in 14 days",
                   .about = {{"certificate", "ab"}},
                   .attempts = 0,
                   .next_attempt = kNow};

TEST(AlertWebhook, OnlyHttpsWithoutUserInformation) {
  EXPECT_TRUE(parse_webhook_url(""));
  for (const char* good :
       {"https://alerts.test", "https://10.0.0.5:8443/larder?x=1", "https://[fd00::5]/"}) {
    EXPECT_TRUE(parse_webhook_url(good)) << good;
  }
  for (const char* bad :
       {"http://alerts.test", "https://", "https://u:p@alerts.test/", "alerts.test",
        "https://alerts.test/a b", "https://alerts.test/#x", "https://a_b c/"}) {
    EXPECT_FALSE(parse_webhook_url(bad)) << bad;
  }
}

TEST(AlertWebhook, SecretThatOthersMayReadIsRefused) {
  const base::TemporaryFolder folder;
  const std::string secret = folder.path() + "/secret";
  const WebhookSettings settings{.url = "https://alerts.test/", .trust = {}, .secret = secret};
  for (const mode_t mode : {0644U, 0660U, 0602U}) {
    ASSERT_TRUE(base::write_file_atomically(secret, "key\n", mode));
    ASSERT_EQ(::chmod(secret.c_str(), mode), 0);
    const auto request = make_webhook_request(settings, "node1", kAlert, kNow);
    ASSERT_FALSE(request) << mode;
    EXPECT_EQ(request.error().code, base::ErrorCode::PermissionDenied);
    EXPECT_NE(request.error().message.find("chmod 0600"), std::string::npos);
  }
  ASSERT_EQ(::chmod(secret.c_str(), 0400), 0);
  EXPECT_TRUE(make_webhook_request(settings, "node1", kAlert, kNow));
}

TEST(AlertWebhook, IsSignedWithTheSecret) {
  const base::TemporaryFolder folder;
  const std::string secret = folder.path() + "/secret";
  ASSERT_TRUE(base::write_file_atomically(secret, "key\n", 0600));
  WebhookSettings settings{.url = "https://alerts.test/", .trust = {}, .secret = secret};
  auto request = make_webhook_request(settings, "node1", kAlert, kNow).value();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.body, R"({"at":"2027-01-15T08:00:00Z","certificate":"ab","id":"1",)"
                          R"("kind":"certificate-expires","node":"node1","text":"in 14 days"})");
  ASSERT_EQ(request.fields.size(), 3U);
  EXPECT_EQ(request.fields[1].second, "1800000000");
  EXPECT_EQ(request.fields[2].first, "X-Larder-Signature");
  EXPECT_EQ(request.fields[2].second.size(), 7U + 64U);

  settings.secret.clear();
  EXPECT_EQ(make_webhook_request(settings, "node1", kAlert, kNow)->fields.size(), 2U);
  ASSERT_TRUE(base::write_file_atomically(secret, "\n", 0600));
  settings.secret = secret;
  EXPECT_FALSE(make_webhook_request(settings, "node1", kAlert, kNow)) << "an empty secret";
  settings.trust = folder.path() + "/absent";
  EXPECT_FALSE(make_webhook_request(settings, "node1", kAlert, kNow));
}

}  // namespace
}  // namespace larder::alerts
