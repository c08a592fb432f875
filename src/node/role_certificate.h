// When a node asks its site for a role certificate, and when it must not serve with one. Pure.
#pragma once

#include <string>

#include "base/clock.h"
#include "crypto/certificate.h"
#include "node/site_view.h"

namespace larder::node {

enum class RoleAction {
  Wait,      // nothing to do: no view, or the site gave this node no names
  Keep,      // serve with the current certificate
  Request,   // ask for one; until it is there, a current one that is valid serves on
  Withdraw,  // the site's mode is https-only: serve with none
};

struct RoleDecision {
  RoleAction action = RoleAction::Wait;
  std::string reason;
};

// `view` and `current` may be null.
RoleDecision decide_role(const SiteView* view, const crypto::Certificate* current,
                         base::WallTime now);

// Whether the certificate may serve now: in its time, and the mode is enhanced.
bool may_serve(const SiteView* view, const crypto::Certificate* current, base::WallTime now);

}  // namespace larder::node
