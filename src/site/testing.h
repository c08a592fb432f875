// What the tests of a site share: one in a new folder, and callers that do what devices, nodes and
// administrators do. Requests go to the routers, without sockets; the clock stands still.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/testing.h"
#include "crypto/key.h"
#include "server/router.h"
#include "site/site.h"

namespace larder::site {

const base::WallTime kStart = base::from_unix_seconds(1'800'000'000);
const std::string kUrl = "https://site.larder.test:8443";

SiteSettings settings_in(const std::string& state_dir);
crypto::PrivateKey new_key();
// A certificate request in PEM that wishes for this name.
std::string request_for(const crypto::PrivateKey& key, const std::string& wish = "wish.test");
// Of a reply: its first field of that name, its body read as JSON.
std::string field(const server::Reply& reply, std::string_view name);
base::Json body_of(const server::Reply& reply);

struct SiteTest : testing::Test {
  SiteTest() { open(); }

  // Anew, from the same folder.
  void open();

  static server::Reply run(const server::Router& router, server::RouteRequest request);
  // An administrator at the control socket.
  server::Reply control(const std::string& method, const std::string& path) const;
  server::Reply control(const std::string& method, const std::string& path,
                        const base::Json& body) const;
  // A browser at the status page.
  server::Reply page(const std::string& path, const std::string& host) const;
  void publish(const std::string& package, const std::string& version,
               const std::string& content) const;

  std::string join_secret(const std::string& node = "node1",
                          const std::vector<std::string>& names = {"node1.larder.test"}) const;
  server::Reply join(const std::string& secret, const crypto::PrivateKey& key) const;
  // DER of the identity certificate of a newly joined node.
  std::string joined(const std::string& node = "node1",
                     const std::vector<std::string>& names = {"node1.larder.test"}) const;
  server::Reply as_node(const std::string& identity, const std::string& method,
                        const std::string& path, const std::string& body = {},
                        const std::map<std::string, std::string>& query = {}) const;
  server::Reply changes(const std::string& identity, std::int64_t after, int wait = 0) const;
  // The content of a snapshot whose signature has been verified.
  base::Json snapshot(const std::string& identity) const;

  std::string registration_secret(int uses = 10) const;
  // One request with a proof; asks for a nonce first, as a device does.
  server::Reply with_proof(const crypto::PrivateKey& key, const std::string& path,
                           const std::string& body, const std::string& access_token = {},
                           const std::string& url = kUrl) const;
  server::Reply register_device(const crypto::PrivateKey& key, const std::string& secret,
                                const std::string& hardware = {}) const;
  // DER of a client certificate that the device made over its own key.
  std::string certificate_over(const crypto::PrivateKey& key) const;
  server::Reply ask_token(const crypto::PrivateKey& key, const std::string& certificate) const;

  base::TemporaryFolder folder;
  SiteSettings settings = settings_in(folder.path("state"));
  base::ManualClock clock{kStart};
  std::unique_ptr<Site> site;
};

}  // namespace larder::site
