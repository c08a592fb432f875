#include "node/request_target.h"

#include "base/encoding.h"
#include "cache/key.h"
#include "http/reference.h"
#include "store/siphash.h"

namespace larder::node {

namespace {

bool wants_https(const RequestTarget& target, bool client_tls) {
  switch (target.origin->scheme) {
    case OriginScheme::Http:
      return false;
    case OriginScheme::Https:
      return true;
    case OriginScheme::Same:
      break;
  }
  if (target.origin->url) return target.origin->url->https;
  // An absolute http:// target that came over TLS is for TLS too: the client may think so.
  return client_tls || target.choice.target_is_https.value_or(false);
}

}  // namespace

void resolve_target(const http::RequestHead& head, bool client_tls, const HostTable& hosts,
                    const std::array<std::uint8_t, 16>& secret, RequestTarget& target) {
  target.choice = http::choose_origin(head, hosts, target.scratch);
  target.origin = nullptr;
  if (target.choice.kind != http::OriginChoice::Kind::Origin) return;
  const std::string_view host = target.choice.authority.host();
  const HostTable::Found found = hosts.look_up(host);
  target.origin = found.origin;
  if (target.origin == nullptr || !hosts.is_meant(target.choice, *target.origin)) {
    target.choice.reason = target.origin == nullptr ? "this node does not serve that host"
                                                    : "this node does not serve that port";
    target.choice.kind = http::OriginChoice::Kind::Refuse;
    target.choice.status = 403;
    target.origin = nullptr;
    return;
  }
  target.canonical = found.canonical.empty() ? host : found.canonical;
  if (target.origin->normalize_path) {
    target.choice.path = http::normal_path(target.choice.path, target.path_scratch);
  }
  target.appearance = target.choice.form == http::OriginForm::CacheHostOrigin
                          ? http::Appearance::AsNode
                          : http::Appearance::AsOrigin;
  set_scheme(target, wants_https(target, client_tls), secret);
}

bool may_come_over_https(const RequestTarget& target) {
  return !target.https && target.origin->scheme == OriginScheme::Same && !target.origin->url;
}

void set_scheme(RequestTarget& target, bool https, const std::array<std::uint8_t, 16>& secret) {
  target.https = https;
  cache::KeyParts parts;
  parts.https = https;
  parts.host = target.canonical;
  parts.path = target.choice.path;
  parts.query = target.choice.query;
  parts.has_query = target.choice.has_query;
  parts.ignored_parameters = target.origin->ignore_query;
  parts.sort_parameters = target.origin->sort_query;
  target.policy.key_is_stripped = cache::write_key(target.key_text, parts);
  target.key = store::siphash_128(secret, base::as_bytes(target.key_text));
}

}  // namespace larder::node
