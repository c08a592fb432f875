// Whether a request for guarded content is allowed: a content token of our site, bound to the
// client certificate that was proven in the handshake (RFC 8705), of a client that is not denied.
// Fails closed.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
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
    NoView,      // the node has no snapshot: it cannot know whom to trust
    WrongClock,  // the node's clock is before its own build date
    NoToken,
    NoCertificate,  // no client certificate in the handshake
    BadToken,       // malformed, foreign key, bad signature, other audience or issuer
    Expired,
    OtherCertificate,  // the token is bound to another certificate
    Denied,            // the client is blocked
  };
  Reason reason = Reason::NoView;
  std::string client_id;  // when allowed or denied

  bool allowed() const { return reason == Reason::Allowed; }
  // RFC 6750 section 3.1: "invalid_token"; empty when there was no token, where it must not be
  // sent.
  std::string_view oauth_error() const;
  // One public sentence.
  std::string_view description() const;
};

// Decides requests and remembers verified tokens, so that a signature is checked once per token.
// Everything that can change is checked each time: dates, denied clients, whether the key is still
// in the view. Thread-safe; bounded.
class ContentAuthorizer {
 public:
  explicit ContentAuthorizer(std::size_t capacity = 4096);

  // `view` may be null. `certificate_sha256` is the 32 bytes of the SHA-256 of the certificate's
  // DER, empty when the client showed none.
  ContentAccess authorize(const SiteView* view, std::string_view token,
                          std::string_view certificate_sha256, base::WallTime now);

 private:
  struct Verified;
  std::shared_ptr<const Verified> find(const std::string& digest);
  void remember(const std::string& digest, std::shared_ptr<const Verified> verified);

  const std::size_t capacity_;
  std::mutex mutex_;
  std::list<std::string> recent_;  // digests of tokens, latest first
  struct Entry {
    std::shared_ptr<const Verified> verified;
    std::list<std::string>::iterator place;
  };
  std::unordered_map<std::string, Entry> entries_;
};

// The same decision without memory.
ContentAccess authorize_content(const SiteView& view, std::string_view token,
                                std::string_view certificate_sha256, base::WallTime now);

}  // namespace larder::node
