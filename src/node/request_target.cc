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
  target.policy.fill =
      target.origin->is_profile ? http::Exchange::SharedFill : http::Exchange::DeclaredFill;
  target.policy.shares_cookies = !target.origin->is_profile;
  set_scheme(target, wants_https(target, client_tls), secret);
}

void complete_policy(RequestTarget& target) {
  target.policy.ignored_vary = target.origin->vary_ignore;
  target.policy.identity = target.origin->validator;
}

bool may_come_over_https(const RequestTarget& target) {
  return !target.https && target.origin->scheme == OriginScheme::Same && !target.origin->url;
}

namespace {

bool write_key_of(const RequestTarget& target, bool https, std::string_view path,
                  std::string_view query, bool has_query, std::string& out) {
  cache::KeyParts parts;
  parts.https = https;
  parts.host = target.canonical;
  parts.path = path;
  parts.query = query;
  parts.has_query = has_query;
  parts.ignored_parameters = target.origin->ignore_query;
  parts.sort_parameters = target.origin->sort_query;
  return cache::write_key(out, parts);
}

}  // namespace

void set_scheme(RequestTarget& target, bool https, const std::array<std::uint8_t, 16>& secret) {
  target.https = https;
  target.policy.key_is_stripped =
      write_key_of(target, https, target.choice.path, target.choice.query, target.choice.has_query,
                   target.key_text);
  target.key = store::siphash_128(secret, base::as_bytes(target.key_text));
}

http::HttpAddress address_of(const RequestTarget& target) {
  http::HttpAddress address;
  address.https = target.https;
  address.authority = target.choice.authority;
  address.target = target.choice.path;
  if (target.choice.has_query) address.target.append("?").append(target.choice.query);
  return address;
}

store::Key key_of_target(const RequestTarget& target, bool https, std::string_view other,
                         const std::array<std::uint8_t, 16>& secret) {
  const std::size_t question = other.find('?');
  std::string_view path = other.substr(0, question);
  std::string scratch;
  if (target.origin->normalize_path) path = http::normal_path(path, scratch);
  const bool has_query = question != std::string_view::npos;
  std::string text;
  write_key_of(target, https, path, has_query ? other.substr(question + 1) : std::string_view{},
               has_query, text);
  return store::siphash_128(secret, base::as_bytes(text));
}

}  // namespace larder::node
