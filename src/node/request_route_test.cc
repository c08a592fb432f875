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
  EXPECT_TRUE(set_request_proxy(request, url, *settings));
  return request;
}

TEST(RequestRoute, GoesThroughTheProxyUnlessTheHostIsNamed) {
  for (const char* url : {"http://ocsp.test", "http://ocsp.test:8080/x?y", "https://alerts.test/?a",
                          "https://10.test/", "http://192.0.2.1/list.crl"}) {
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

}  // namespace
}  // namespace larder::node
