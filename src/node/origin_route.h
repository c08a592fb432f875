// How an origin is reached, and where its redirects may lead. Pure.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "client/origin_pool.h"
#include "node/host_table.h"
#include "node/redirect_trails.h"
#include "node/settings.h"

namespace larder::node {

// True when an entry of no_proxy names the host.
bool bypasses_proxy(std::string_view host, const std::vector<ProxyException>& no_proxy);
// True when the origin is not asked through the proxy: an entry of no_proxy names the host, or the
// host or address that the table's `url` puts in its place.
bool goes_direct(std::string_view host, const OriginSettings& origin,
                 const std::vector<ProxyException>& no_proxy);

// Fills what the table of `fetch.host` says about addresses, roots, place and proxy.
void set_route(client::OriginFetch& fetch, const OriginSettings& origin,
               const std::vector<ProxyException>& no_proxy);

struct RedirectDecision {
  std::optional<client::OriginFetch> next{};  // nothing: the redirect itself is the answer
  RedirectHop hop;
};
// For a client::RedirectRule. Followed are redirects of GET and HEAD to an allowed host on its
// usual port; `https`: the bytes are for a request that came over TLS, so every hop must be https.
// Any other redirect is the answer itself, with its Location made absolute.
RedirectDecision judge_redirect(const client::OriginFetch& from, http::ResponseHead& head,
                                bool https, const HostTable& hosts,
                                const std::vector<ProxyException>& no_proxy);

}  // namespace larder::node
