// What a request is for: the origin that its table allows, and the key under which the answer is
// kept.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "cache/freshness.h"
#include "http/forwarding.h"
#include "http/reference.h"
#include "http/request_head.h"
#include "http/target.h"
#include "node/host_table.h"
#include "store/object.h"

namespace larder::node {

struct RequestTarget {
  http::OriginChoice choice;               // views point into the request or into `scratch`
  const OriginSettings* origin = nullptr;  // set when choice is an origin
  bool https = false;                      // of the connection to the origin
  std::string_view canonical;              // host under which the object is kept
  http::Appearance appearance = http::Appearance::AsOrigin;
  cache::StorePolicy policy;
  std::string key_text;
  store::Key key;
  std::string scratch;
  std::string path_scratch;
};

// Fills `target`, whose strings are reused. Pure. `client_tls`: the request came over TLS; it is
// then answered only with bytes that came over verified TLS, unless the origin's own table says
// http.
void resolve_target(const http::RequestHead& head, bool client_tls, const HostTable& hosts,
                    const std::array<std::uint8_t, 16>& secret, RequestTarget& target);

// Whether bytes that came over verified TLS are as good an answer to this plain request: the table
// leaves the scheme to the client.
bool may_come_over_https(const RequestTarget& target);
// From then on the request is for what comes over that scheme; with a key of its own.
void set_scheme(RequestTarget& target, bool https, const std::array<std::uint8_t, 16>& secret);
// What storing needs beside what a hit needs: completes target.policy from the origin's table.
void complete_policy(RequestTarget& target);

// What references in its answer are relative to.
http::HttpAddress address_of(const RequestTarget& target);
// The key of a target of the same origin, in origin-form, fetched over that scheme.
store::Key key_of_target(const RequestTarget& target, bool https, std::string_view other,
                         const std::array<std::uint8_t, 16>& secret);

}  // namespace larder::node
