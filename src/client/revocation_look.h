// One look at what issuers say about a chain. Whoever calls decides, in the exchange, by which way
// requests leave and what they may reach: the addresses are what somebody wrote into certificates.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "client/exchange.h"
#include "crypto/certificate.h"
#include "crypto/revocation.h"

namespace larder::client {

struct RevocationLook {
  bool is_known = false;    // at least the leaf's status is
  bool is_revoked = false;  // one of the chain is
  std::string subject;      // of the certificate that is revoked, or whose status is not known
  std::string source;       // URL that said so
  std::string reason;       // of the revocation
  std::string error;        // why the status is not known; empty also when no place is named
  std::string staple;       // DER of the leaf's OCSP answer, when it is good
  base::WallTime staple_from;
  std::optional<base::WallTime> staple_until;
};

// What one place says about a certificate.
struct PlaceAnswer {
  enum class Kind { Responder, List };
  Kind kind = Kind::Responder;
  std::string url;
  base::Result<crypto::RevocationStatus> status;
};

// The certificates of the files, as far as they can be read; no files: those of the system's store,
// which the import proves chains by then.
std::vector<crypto::Certificate> read_trusted(std::vector<std::string> files);

// Asks the places that the certificates name, OCSP before lists, each for at most 10 s. `trusted`
// are certificates that may have issued the chain's last.
RevocationLook look_for_revocation(std::span<const crypto::Certificate> chain,
                                   std::span<const crypto::Certificate> trusted,
                                   const HttpExchange& exchange, base::WallTime now);

// What every place that the certificate names says, OCSP before lists: to find out which of them
// can be had. Each is asked for at most 10 s.
std::vector<PlaceAnswer> ask_every_place(const crypto::Certificate& certificate,
                                         const crypto::Certificate& issuer,
                                         const HttpExchange& exchange, base::WallTime now);

// That of the certificate's issuer, of the chain before the trusted ones; null when none is.
const crypto::Certificate* issuer_of(const crypto::Certificate& certificate,
                                     std::span<const crypto::Certificate> chain,
                                     std::span<const crypto::Certificate> trusted);

}  // namespace larder::client
