// The two tokens of docs/protocol.md, made by the site and read by the site and its nodes.
//
// * client token: what a registered device shows to the management point, bound to the device's key
//   by its thumbprint (RFC 9449 section 6.1);
// * content token: what it shows to a node, bound to its TLS client certificate (RFC 8705 section
//   3.1).
//
// Reading is pure: time, keys and expectations come from the caller. Everything that is not right
// is refused with a reason that is safe for logs, metrics and challenges; no reason ever quotes the
// token.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/digest.h"
#include "crypto/key.h"

namespace larder::token {

inline constexpr std::chrono::seconds kLeeway{60};  // between the clocks of site, node and device
inline constexpr std::chrono::hours kClientTokenLifetime{24 * 90};
inline constexpr std::chrono::hours kContentTokenLifetime{8};

enum class Refusal {
  Malformed,      // not a token of this kind: form, type, algorithm or a claim
  UnknownKey,     // signed by a key that is not (or no longer) the site's
  BadSignature,   // changed or forged
  WrongIssuer,    // another site's token
  WrongAudience,  // a token for something else
  NotYetValid,    // issued in the future: a clock is wrong
  Expired,
  TooLongLived,      // lives longer than the kind allows
  WrongKey,          // bound to another device key
  WrongCertificate,  // bound to another client certificate
};

std::string_view name(Refusal refusal);         // "expired": for logs and metrics
std::string_view description(Refusal refusal);  // one public sentence

template <typename T>
using Reading = std::expected<T, Refusal>;

struct ClientClaims {
  std::string issuer;
  std::string client_id;
  std::string token_id;
  std::string key_thumbprint;  // RFC 7638
  base::WallTime issued_at;
  base::WallTime expires_at;
};

struct ContentClaims {
  std::string issuer;
  std::string client_id;
  std::string token_id;
  crypto::Sha256Digest certificate_sha256{};  // of the client certificate's DER
  base::WallTime issued_at;
  base::WallTime expires_at;
};

// Signs for one site. Immutable; safe on several threads.
class TokenSigner {
 public:
  // An EC P-256 key.
  static base::Result<TokenSigner> create(crypto::PrivateKey key);

  base::Result<std::string> sign(const ClientClaims& claims) const;
  base::Result<std::string> sign(const ContentClaims& claims) const;
  const std::string& key_id() const { return key_id_; }
  const crypto::PublicKey& public_key() const { return key_.public_key(); }

 private:
  TokenSigner(crypto::PrivateKey key, std::string key_id)
      : key_(std::move(key)), key_id_(std::move(key_id)) {}

  crypto::PrivateKey key_;
  std::string key_id_;
};

// The site's public key for a `kid`; null when it is not one. The result lives as long as the call.
using FindKey = std::function<const crypto::PublicKey*(std::string_view key_id)>;

// Signature and form. What it returns is what the site said, not yet that it holds now and here:
// so a reader may remember it and check only the rest again. `key_id`, when not null, receives the
// `kid`.
Reading<ClientClaims> read_client_token(std::string_view text, const FindKey& find_key,
                                        std::string* key_id = nullptr);
Reading<ContentClaims> read_content_token(std::string_view text, const FindKey& find_key,
                                          std::string* key_id = nullptr);

// Issuer, dates and binding. `key_thumbprint` is of the key in the request's DPoP proof,
// `certificate_sha256` of the certificate proven in the handshake.
Reading<void> check(const ClientClaims& claims, std::string_view issuer,
                    std::string_view key_thumbprint, base::WallTime now);
Reading<void> check(const ContentClaims& claims, std::string_view issuer,
                    const crypto::Sha256Digest& certificate_sha256, base::WallTime now);

// Both steps.
Reading<ClientClaims> verify_client_token(std::string_view text, const FindKey& find_key,
                                          std::string_view issuer, std::string_view key_thumbprint,
                                          base::WallTime now);
Reading<ContentClaims> verify_content_token(std::string_view text, const FindKey& find_key,
                                            std::string_view issuer,
                                            const crypto::Sha256Digest& certificate_sha256,
                                            base::WallTime now);

}  // namespace larder::token
