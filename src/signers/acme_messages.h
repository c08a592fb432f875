// What an ACME server says (RFC 8555), as values. Pure; every answer comes from a stranger: sizes
// are bounded, URLs are https and printable, tokens are base64url, and texts are fit for a log.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace larder::signers {

inline constexpr std::size_t kAcmeAnswerLimit = 256 << 10;  // bytes
inline constexpr std::size_t kAcmeNamesLimit = 100;         // identifiers of one order
inline constexpr std::size_t kAcmeUrlLimit = 2048;          // bytes

using HttpFields = std::vector<std::pair<std::string, std::string>>;

struct AcmeDirectory {
  std::string new_nonce;
  std::string new_account;
  std::string new_order;
  std::string renewal_info;  // RFC 9773; empty: not offered
  std::string terms;         // empty: none
  bool needs_external_account = false;
};
base::Result<AcmeDirectory> parse_acme_directory(std::string_view json);

// RFC 7807; `type` without the prefix "urn:ietf:params:acme:error:".
struct AcmeProblem {
  std::string type;
  std::string detail;

  std::string text() const;  // "rateLimited: too many certificates", "no reason given"
};
// What is no problem document has neither type nor detail.
AcmeProblem parse_acme_problem(std::string_view json);

enum class AcmeStatus { Pending, Ready, Processing, Valid, Invalid };

struct AcmeIdentifier {
  bool is_address = false;  // RFC 8738
  std::string value;

  bool operator==(const AcmeIdentifier&) const = default;
};

struct AcmeOrder {
  AcmeStatus status = AcmeStatus::Pending;
  std::vector<std::string> authorizations;  // URLs
  std::string finalize;                     // URL
  std::string certificate;                  // URL; empty before it is valid
  AcmeProblem error;
};
base::Result<AcmeOrder> parse_acme_order(std::string_view json);

struct AcmeChallenge {
  std::string type;  // "http-01"
  std::string url;
  std::string token;
  bool is_processing = false;  // the server was told already
  AcmeProblem error;
};
struct AcmeAuthorization {
  AcmeStatus status = AcmeStatus::Pending;  // deactivated, expired and revoked ones are Invalid
  AcmeIdentifier identifier;
  std::vector<AcmeChallenge> challenges;  // only those whose members can be used
};
base::Result<AcmeAuthorization> parse_acme_authorization(std::string_view json);

// A Replay-Nonce that may be used (RFC 8555 section 6.5.1).
bool is_acme_nonce(std::string_view text);
bool is_acme_url(std::string_view text);

// Targets of Link fields with rel="alternate": other chains for the same certificate.
std::vector<std::string> alternate_links(const HttpFields& fields);

}  // namespace larder::signers
