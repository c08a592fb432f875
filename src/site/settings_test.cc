#include "site/settings.h"

#include <gtest/gtest.h>

namespace larder::site {
namespace {

constexpr std::string_view kLeast =
    "[site]\npublic_url = \"https://site.larder.example.org:8443\"\n"
    "dns_suffixes = [\"larder.example.org\"]\n";

std::string mistakes(const std::string& text) {
  const auto out = parse_site_settings(text, "/etc/larder/larder.toml");
  return out ? "none" : out.error().message;
}

TEST(SiteSettings, UrlAndSuffixAreEnough) {
  const auto out = parse_site_settings(kLeast, "/etc/larder/larder.toml");
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(out->public_url, "https://site.larder.example.org:8443");
  EXPECT_EQ(out->control_socket, "/var/lib/larder/site/control.sock");
  EXPECT_EQ(out->mode, "enhanced");
}

TEST(SiteSettings, RefusesWrongValues) {
  for (const char* line : {"mode = \"enhance\"", "admin_listen = [\"0.0.0.0:8444\"]", "listen = []",
                           "listen = [\"site:8443\"]", "database = \"mysql\"",
                           "address_ranges = [\"10.0.0.1/8\"]", "public_ur = 1"}) {
    EXPECT_NE(mistakes(std::string(kLeast) + line + "\n"), "none") << line;
  }
  EXPECT_EQ(mistakes(std::string(kLeast) + "mode = \"https-only\"\nlog_json = true\n"), "none");
}

TEST(SiteSettings, RefusesUrlsThatTokensCouldNotBeComparedWith) {
  for (const char* url : {"http://site.example.org", "https://", "https://site.example.org/path",
                          "https://user@site.example.org", "https://:8443"}) {
    EXPECT_NE(mistakes("[site]\ndns_suffixes = [\"a.example\"]\npublic_url = \"" +
                       std::string(url) + "\"\n"),
              "none")
        << url;
  }
}

TEST(SiteSettings, RefusesARootThatCouldVouchForNothing) {
  EXPECT_NE(mistakes("[site]\npublic_url = \"https://s.example.org\"\n").find("both are empty"),
            std::string::npos);
  EXPECT_NE(
      mistakes("[site]\npublic_url = \"https://s.example.org\"\ndns_suffixes = [\".a.org\"]\n"),
      "none");
}

}  // namespace
}  // namespace larder::site
