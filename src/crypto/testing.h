// For tests of certificates: a root, and a leaf for a.example.org below it, around kNow.
#pragma once

#include <utility>

#include "base/clock.h"
#include "crypto/issue.h"

namespace larder::crypto::testing {

inline const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);
inline constexpr auto kDay = std::chrono::hours(24);

struct Pair {
  PrivateKey key;
  Certificate certificate;
};

inline CertificateTemplate content(bool is_ca) {
  CertificateTemplate result;
  result.subject.common_name = is_ca ? "Root" : "a.example.org";
  if (!is_ca) result.names.dns = {"a.example.org"};
  result.not_before = kNow - kDay;
  result.not_after = kNow + 30 * kDay;
  result.is_ca = is_ca;
  result.server_auth = !is_ca;
  return result;
}

inline Pair make_root() {
  auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  auto certificate = issue_self_signed(content(true), key).value();
  return {std::move(key), std::move(certificate)};
}

inline Pair make_leaf(const Pair& root) {
  auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  auto certificate = issue(content(false), key.public_key(), root.certificate, root.key).value();
  return {std::move(key), std::move(certificate)};
}

}  // namespace larder::crypto::testing
