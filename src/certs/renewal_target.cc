#include "certs/renewal_target.h"

#include <algorithm>

namespace larder::certs {

namespace {

bool is_chosen(const CertificateFacts& facts) {
  return facts.state == CertificateState::Active || facts.state == CertificateState::Disabled;
}

base::WallTime last_event(const CertificateFacts& facts) {
  return facts.history.empty() ? base::WallTime{} : facts.history.back().at;
}

// Of equal times the latest import counts: it is the first of its key.
const CertificateFacts* last_heard_of(const KeyFacts& key) {
  const auto found = std::ranges::max_element(key.certificates, {}, last_event);
  return found == key.certificates.end() ? nullptr : &*found;
}

}  // namespace

RenewalTarget renewal_target(const Inventory& inventory, std::string_view key_name) {
  RenewalTarget target;
  const CertificateFacts* last = nullptr;
  bool other_chosen = false;
  for (const KeyFacts& key : inventory.keys) {
    const auto chosen = std::ranges::find_if(key.certificates, is_chosen);
    const bool has_chosen = chosen != key.certificates.end();
    if (key.name != key_name) {
      other_chosen = other_chosen || has_chosen;
    } else if (has_chosen) {
      return {.current = &*chosen, .against = {}};
    } else {
      last = last_heard_of(key);
    }
  }
  if (last == nullptr) return target;
  if (last->state == CertificateState::Retired) {
    target.against = "it is retired";
    return target;
  }
  target.current = last;
  if (other_chosen) target.against = "another certificate is in use";
  return target;
}

bool waits_for_certificate(const RenewalTarget& target) {
  return target.against.empty() && (target.current == nullptr || !is_chosen(*target.current));
}

}  // namespace larder::certs
