#include "node/role_certificate.h"

#include <algorithm>

#include "certs/renewal.h"

namespace larder::node {

bool may_serve(const SiteView* view, const crypto::Certificate* current, base::WallTime now) {
  return view != nullptr && view->mode == SiteMode::Enhanced && current != nullptr &&
         now < current->not_after();
}

RoleDecision decide_role(const SiteView* view, const crypto::Certificate* current,
                         base::WallTime now) {
  if (view == nullptr) return {RoleAction::Wait, "nothing is known of the site yet"};
  if (view->mode == SiteMode::HttpsOnly) {
    return {RoleAction::Withdraw, "the site takes PKI certificates only"};
  }
  if (view->names.empty() && view->addresses.empty()) {
    return {RoleAction::Wait, "the site gave this node no names"};
  }
  if (current == nullptr) return {RoleAction::Request, "there is no role certificate yet"};
  if (now >= current->not_after()) return {RoleAction::Request, "the role certificate ended"};
  const auto covered = [&](const std::string& name) { return current->covers(name); };
  if (!std::ranges::all_of(view->names, covered) ||
      !std::ranges::all_of(view->addresses, covered)) {
    return {RoleAction::Request, "the names of this node changed"};
  }
  // Failures are the link's: it asks later and later by itself.
  if (const auto renewal = certs::decide_renewal(certs::lifetime_of(*current), {}, now);
      renewal.due) {
    return {RoleAction::Request, renewal.reason};
  }
  return {RoleAction::Keep, "the role certificate is good"};
}

}  // namespace larder::node
