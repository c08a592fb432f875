// What the issuing authority may put into a certificate. Pure.
#pragma once

#include <chrono>
#include <string_view>

#include "base/error.h"
#include "crypto/issue.h"
#include "crypto/names.h"

namespace larder::authority {

enum class CertificateKind {
  Role,      // a site system's server certificate for its delivery ports
  Identity,  // who a node is towards the site: client authentication only, never on a port
};

std::string_view name(CertificateKind kind);  // "role", "identity": stored, do not change

struct Policy {
  crypto::NameConstraints constraints;
  std::chrono::days role_lifetime{90};
  std::chrono::days identity_lifetime{365};
  std::chrono::minutes backdating{5};  // for clocks that are behind
  std::size_t name_limit = 32;         // names and addresses of one certificate
};

// PermissionDenied unless there is at least one name and each is a DNS name below a permitted
// suffix or an address in a permitted range. Wildcards, URIs and e-mail addresses are never
// allowed.
base::Status check_names(const Policy& policy, const crypto::AlternativeNames& names);

// The time that a certificate of the kind lives: never longer than its issuer.
base::Result<base::WallTime> end_of_life(const Policy& policy, CertificateKind kind,
                                         base::WallTime issuer_end, base::WallTime now);

}  // namespace larder::authority
