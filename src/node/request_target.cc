#include "node/request_target.h"

#include "base/encoding.h"
#include "cache/key.h"
#include "store/siphash.h"

namespace larder::node {

void resolve_target(const http::RequestHead& head, bool client_tls, const HostTable& hosts,
                    const std::array<std::uint8_t, 16>& secret, RequestTarget& target) {
  target.choice = http::choose_origin(head, hosts, target.scratch);
  target.origin = nullptr;
  if (target.choice.kind != http::OriginChoice::Kind::Origin) return;
  target.origin = hosts.find(target.choice.authority.host());
  if (target.origin == nullptr) {
    target.choice.kind = http::OriginChoice::Kind::Refuse;
    target.choice.status = 403;
    target.choice.reason = "this node does not serve that host";
    return;
  }
  switch (target.origin->scheme) {
    case OriginScheme::Same:
      target.https = target.origin->url
                         ? target.origin->url->https
                         : client_tls || target.choice.target_is_https.value_or(false);
      break;
    case OriginScheme::Http:
      target.https = false;
      break;
    case OriginScheme::Https:
      target.https = true;
      break;
  }
  target.appearance = target.choice.form == http::OriginForm::CacheHostOrigin
                          ? http::Appearance::AsNode
                          : http::Appearance::AsOrigin;
  cache::KeyParts parts;
  parts.https = target.https;
  parts.host = target.choice.authority.host();
  parts.path = target.choice.path;
  parts.query = target.choice.query;
  parts.has_query = target.choice.has_query;
  parts.ignored_parameters = target.origin->ignore_query;
  target.policy.key_is_stripped = cache::write_key(target.key_text, parts);
  target.key = store::siphash_128(secret, base::as_bytes(target.key_text));
}

}  // namespace larder::node
