// How long a certificate is kept after its use. Pure; purge.h does what is decided here.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "certs/inventory.h"

namespace larder::certs {

inline constexpr std::chrono::months kRetention{18};

// 18 months after the later of its end (of validity, or its revocation if that was earlier) and its
// deactivation. Nothing while it is served, or when its record is lost and so nobody can know: what
// is kept too long does less harm than what is missing in an audit. A certificate whose HTTPS is
// only disabled counts as deactivated by that, and is kept at least until 18 months after its end.
std::optional<base::WallTime> kept_until(const CertificateFacts& certificate);

struct Purge {
  std::string key_name;
  std::string id;
  bool with_key = false;  // it is the last certificate of its key, which goes as well
};
// What is to go at that time, in the order of the inventory.
std::vector<Purge> plan_purges(const Inventory& inventory, base::WallTime now);

}  // namespace larder::certs
