#include "node/request_route.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing.h"

namespace larder::node {
namespace {

client::HttpRequest route(const std::string& url, const std::string& more = {}) {
  const auto settings = parse_node_settings(
      "[node]\nname = \"n\"\nproxy = \"http://proxy.test:3128\"\n"
      "no_proxy = [\"*.inside.test\", \"exact.test\", \"10.0.0.0/8\", \"fd00::/8\"]\n" +
          more,
      "larder.toml");
  EXPECT_TRUE(settings) << settings.error().message;
  client::HttpRequest request;
  EXPECT_TRUE(set_request_route(request, url, UrlSource::Settings, *settings));
  return request;
}

TEST(RequestRoute, GoesThroughTheProxyUnlessTheHostIsNamed) {
  for (const char* url : {"http://ocsp.test", "http://ocsp.test:8080/x?y", "https://alerts.test/?a",
                          "https://10.test/", "http://8.8.8.8/list.crl"}) {
    EXPECT_EQ(route(url).proxy, "http://proxy.test:3128") << url;
  }
  for (const char* url :
       {"http://exact.test", "http://EXACT.test:8080/x", "https://a.inside.test?b",
        "https://10.1.2.3:8443/", "http://[fd00::5]/list.crl"}) {
    EXPECT_EQ(route(url).proxy, "") << url;
  }
}

TEST(RequestRoute, CarriesTheProxysCredentials) {
  const base::TemporaryFolder folder;
  const std::string file = folder.path() + "/credentials";
  ASSERT_TRUE(base::write_file_atomically(file, "user:a:secret\n", 0600));
  const auto request = route("http://ocsp.test/", "proxy_credentials = \"" + file + "\"\n");
  EXPECT_EQ(request.proxy_user, "user");
  EXPECT_EQ(request.proxy_password, "a:secret");
}

base::Status judged(const std::string& url, UrlSource source, const std::string& more = {}) {
  const auto settings = parse_node_settings("[node]\nname = \"n\"\n" + more, "larder.toml");
  EXPECT_TRUE(settings) << settings.error().message;
  client::HttpRequest request;
  const base::Status status = set_request_route(request, url, source, *settings);
  EXPECT_EQ(status.has_value(), request.addresses.has_value());
  return status;
}

TEST(RequestRoute, RefusesAddressesInCertificatesThatNobodyAllowed) {
  for (const char* url :
       {"http://127.0.0.1/", "http://127.0.0.1:8090/metrics", "http://[::1]/", "http://0.0.0.0/",
        "http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://224.0.0.1/",
        "http://[fd00:ec2::254]/", "http://[::ffff:127.0.0.1]/"}) {
    // Through a proxy no connect of ours would show it.
    for (const char* more : {"", "proxy = \"http://proxy.test:3128\"\n"}) {
      const auto status = judged(url, UrlSource::Elsewhere, more);
      ASSERT_FALSE(status) << url;
      EXPECT_EQ(status.error().code, base::ErrorCode::PermissionDenied) << url;
      EXPECT_NE(status.error().message.find("request_allow_addresses"), std::string::npos);
    }
  }
  for (const char* url : {"http://127.1/", "http://0x7f000001/", "http://2130706433/",
                          "http://a@127.0.0.1/", "http:///x", "nothing"}) {
    const auto status = judged(url, UrlSource::Elsewhere);
    ASSERT_FALSE(status) << url;
    EXPECT_EQ(status.error().code, base::ErrorCode::InvalidArgument) << url;
  }
  for (const char* url : {"http://ocsp.test/", "http://8.8.8.8/x.crl", "http://10.213.1.2:8080/",
                          "http://[fd12::5]/"}) {
    EXPECT_TRUE(judged(url, UrlSource::Elsewhere)) << url;
  }
  EXPECT_TRUE(judged("http://127.0.0.1/", UrlSource::Elsewhere,
                     "request_allow_addresses = [\"127.0.0.1\"]\n"));
}

TEST(RequestRoute, WhatAServerNamesIsTheAdministratorsWordForTheSamePlaceOnly) {
  const std::string directory = "https://127.0.0.1:14000/directory";
  EXPECT_EQ(source_of("https://127.0.0.1:14000/order?x", directory), UrlSource::Settings);
  EXPECT_EQ(source_of("https://acme.test:443/order", "https://ACME.test/"), UrlSource::Settings);
  for (const char* url :
       {"https://127.0.0.1/order", "https://127.0.0.1:14001/order", "https://127.0.0.2:14000/order",
        "http://127.0.0.1:14000/order", "https://169.254.169.254/", "https://a@127.0.0.1:14000/",
        "nothing", ""}) {
    EXPECT_EQ(source_of(url, directory), UrlSource::Elsewhere) << url;
  }
  EXPECT_EQ(source_of("nothing", "nothing"), UrlSource::Elsewhere);
}

TEST(RequestRoute, TakesAddressesInSettingsAsTheyAreMeant) {
  EXPECT_TRUE(judged("https://127.0.0.1:9000/alerts", UrlSource::Settings));
  EXPECT_TRUE(judged("https://[::1]/directory", UrlSource::Settings));
  const auto settings = parse_node_settings("[node]\nname = \"n\"\n", "larder.toml");
  client::HttpRequest request;
  ASSERT_TRUE(set_request_route(request, "https://127.0.0.1/", UrlSource::Settings, *settings));
  ASSERT_EQ(request.addresses->allowed.size(), 1U);
  EXPECT_EQ(base::to_text(request.addresses->allowed.front()), "127.0.0.1/32");
}

}  // namespace
}  // namespace larder::node
