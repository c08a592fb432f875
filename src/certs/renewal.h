// When a certificate is renewed, and when a renewal that failed is tried again: the one place that
// decides this for a customer's certificates, role certificates and node identities. Pure.
//
// Renewal is due at two thirds of the certificate's life, earlier by up to a twentieth of it. How
// much earlier is drawn once, when the certificate is made: the draw is a byte of its digest, so a
// restart does not draw again and hosts that began together do not renew together. Where whoever
// signs suggests a window, the same draw chooses the time in it instead. In the last
// tenth of its life attempts follow each other faster: that is the emergency window.
//
// Where an intermediate that clients need ends before the certificate does, they refuse the
// certificate from then on: the time until then counts as its life. Whoever signs may hand out the
// same intermediate again, so for its sake a certificate that is new is left alone for a day, or a
// quarter of its own life where that is less.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/certificate.h"

namespace larder::certs {

struct Lifetime {
  base::WallTime not_before;
  base::WallTime not_after;
  std::uint8_t draw = 0;
  // Of an intermediate in its chain that clients need; empty unless it ends first.
  std::optional<base::WallTime> chain_end = std::nullopt;

  // By its own dates.
  base::WallTime renewal_time() const;
  // By that of its chain, too.
  base::WallTime emergency_time() const;
  // By then a renewal with nobody there has been, whatever the draw, or it does not succeed.
  base::WallTime overdue_time() const;
};

// In which whoever signed a certificate wants it renewed; ends after it begins.
struct RenewalWindow {
  base::WallTime start;
  base::WallTime end;

  bool operator==(const RenewalWindow&) const = default;
};

Lifetime lifetime_of(const crypto::Certificate& certificate);
// `id` is the hexadecimal SHA-256 of the certificate.
Lifetime lifetime_of(base::WallTime not_before, base::WallTime not_after, std::string_view id);
// With what the CA files that clients trust say of its chain (leaf first; chain_end.h).
Lifetime lifetime_of(std::span<const crypto::Certificate> chain,
                     std::span<const std::string> client_trust, base::WallTime now);

// How the last attempts for one name ended.
struct RenewalAttempts {
  unsigned failures = 0;                  // in a row
  std::optional<base::WallTime> last;     // none yet: empty
  std::chrono::seconds asked_to_wait{0};  // by whoever signs
};

struct RenewalDecision {
  bool due = false;
  bool emergency = false;  // the certificate ends soon, or is not there
  base::WallTime at;       // when it is due; `now` or earlier when it is due now
  std::string reason;      // "two thirds of the certificate's life are over"
};

// `current` is empty when there is no certificate yet. Failed attempts are repeated after a minute,
// then after four times as long each time, up to 12 hours (in the emergency window one hour; for
// short-lived certificates correspondingly less), for ever, and not before the signer wants to be
// asked again. After a success there is a pause too, so that a signer whose certificates are due
// at once is not asked without end. `suggested` is for the current certificate; it may make the
// renewal earlier, or later, but not later than the emergency window begins.
RenewalDecision decide_renewal(const std::optional<Lifetime>& current,
                               const RenewalAttempts& attempts, base::WallTime now,
                               const std::optional<RenewalWindow>& suggested = std::nullopt);

}  // namespace larder::certs
