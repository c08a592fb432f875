// Whether a request for guarded content is allowed: a content token of our site, bound to the
// client certificate that was proven in the handshake (RFC 8705), of a client that is not denied.
// Fails closed.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "node/site_view.h"
#include "token/token.h"

namespace larder::node {

struct ContentAccess {
  enum class Reason {
    Allowed,
    NoView,         // the node has no snapshot: it cannot know whom to trust
    WrongClock,     // the node's clock is before this program was written
    NoToken,        // there is none, or it is longer than any of ours
    NoCertificate,  // no client certificate in the handshake
    BadToken,       // see `refusal`
    Denied,         // the client is blocked
  };
  Reason reason = Reason::NoView;
  token::Refusal refusal = token::Refusal::Malformed;  // when BadToken
  std::string client_id{};  // when Allowed or Denied: for the log, not for metrics

  bool allowed() const { return reason == Reason::Allowed; }
  // For logs and metrics: "allowed", "no_token", "expired", ...
  std::string_view name() const;
  // RFC 6750 section 3.1: "invalid_token"; empty when the challenge must not carry an error,
  // because no token was sent or the fault is the node's.
  std::string_view oauth_error() const;
  // One public sentence.
  std::string_view description() const;
  // 200, 401, or 503 when the node itself cannot decide.
  int status() const;
};

// Decides requests and remembers verified tokens, so that a signature is checked once per token.
// Everything that can change is checked each time: dates, binding, denied clients, and whether the
// key is still the site's. Thread-safe; bounded, the least recently used token is forgotten first.
class ContentAuthorizer {
 public:
  explicit ContentAuthorizer(std::size_t capacity = 4096);

  // `view` may be null. `token` is the text behind "Bearer "; `certificate_sha256` the 32 bytes of
  // the SHA-256 of the certificate's DER, empty when the client showed none.
  ContentAccess authorize(const SiteView* view, std::string_view token,
                          std::string_view certificate_sha256, base::WallTime now);

  std::size_t remembered() const;

 private:
  struct Verified {
    token::ContentClaims claims;
    std::string key_id;
  };
  struct Entry {
    std::string token_digest;
    Verified verified;
  };
  token::Reading<Verified> verify(const SiteView& view, std::string_view token);

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::list<Entry> entries_;  // latest first
  std::unordered_map<std::string_view, std::list<Entry>::iterator>
      places_;  // keys live in entries_
};

// The same decision without memory.
ContentAccess authorize_content(const SiteView& view, std::string_view token,
                                std::string_view certificate_sha256, base::WallTime now);

}  // namespace larder::node
