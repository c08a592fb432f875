#include "certs/serving_set.h"

#include <algorithm>

namespace larder::certs {

namespace {

using crypto::KeyType;

// What a TLS server can hold one of beside the others.
int kind_of(const crypto::Certificate& certificate) {
  const auto key = certificate.public_key();
  if (!key) return -1;
  const KeyType type = key->type();
  return static_cast<int>(type == KeyType::EcP384 ? KeyType::EcP256 : type);
}

bool covers_name(const crypto::Certificate& certificate, const std::string& name) {
  // A wildcard is covered by the same one only.
  if (!name.starts_with('*')) return certificate.covers(name);
  const std::vector<std::string> names = certificate.dns_names();
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

bool replaces(const crypto::Certificate& next, const crypto::Certificate& served) {
  if (kind_of(next) != kind_of(served)) return false;
  const crypto::AlternativeNames names = served.alternative_names();
  const auto covered = [&](const std::string& name) { return covers_name(next, name); };
  return std::ranges::all_of(names.dns, covered) && std::ranges::all_of(names.addresses, covered);
}

const CertificateFacts* choose_earlier(const Inventory& inventory, std::string_view key_name,
                                       base::WallTime now) {
  const CertificateFacts* chosen = nullptr;
  base::WallTime chosen_at{};
  for (const KeyFacts& key : inventory.keys) {
    if (!key_name.empty() && key.name != key_name) continue;
    for (const CertificateFacts& facts : key.certificates) {
      if (facts.state != CertificateState::Inactive) continue;
      if (facts.not_after < now || now < facts.not_before) continue;
      for (const Record::Entry& entry : facts.history) {
        if (entry.event != Record::Event::Deactivated || entry.at < chosen_at) continue;
        chosen = &facts;
        chosen_at = entry.at;
      }
    }
  }
  return chosen;
}

}  // namespace larder::certs
