// The calls of a node to its site (docs/protocol.md, "The site's device listener"), one function
// each. They block; answers are checked before they are returned.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "client/bootstrap.h"
#include "client/exchange.h"
#include "crypto/key.h"
#include "node/site_state.h"

namespace larder::node {

// Fetches the root, compares it with the token, makes an identity key, and redeems the token.
base::Result<SiteIdentity> join_site(const client::HttpExchange& exchange,
                                     const client::BootstrapToken& token, base::WallTime now);

// The signed snapshot once the site's sequence is above `after`; nothing when it stayed so long.
base::Result<std::optional<std::string>> wait_for_snapshot(const client::HttpExchange& exchange,
                                                           const SiteIdentity& identity,
                                                           std::uint64_t after,
                                                           std::chrono::seconds wait);

// The chain of a new identity certificate for the same key.
base::Result<std::string> request_identity(const client::HttpExchange& exchange,
                                           const SiteIdentity& identity, base::WallTime now);

// A role certificate for a new key; it chains to the site's root and covers the names. `http_port`
// goes into the address of its revocation list; 0 when there is no plain HTTP listener.
base::Result<RoleFiles> request_role(const client::HttpExchange& exchange,
                                     const SiteIdentity& identity,
                                     const std::vector<std::string>& dns_names,
                                     const std::vector<std::string>& addresses,
                                     std::uint16_t http_port, base::WallTime now);

// The revocation list (DER) of an issuing CA of the site, by the issuer's name in the list's
// address.
base::Result<std::string> fetch_revocation_list(const client::HttpExchange& exchange,
                                                const SiteIdentity& identity,
                                                std::string_view issuer);

base::Status send_report(const client::HttpExchange& exchange, const SiteIdentity& identity,
                         std::string json);

// The request, without a range, for a content file of the site.
client::HttpRequest file_request(const SiteIdentity& identity, std::string_view sha256);

}  // namespace larder::node
