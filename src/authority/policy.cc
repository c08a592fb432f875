#include "authority/policy.h"

#include <algorithm>

#include "base/address.h"
#include "base/encoding.h"

namespace larder::authority {
namespace {

bool is_below(std::string_view name, std::string_view suffix) {
  if (base::equals_ignoring_case(name, suffix)) return true;
  return name.size() > suffix.size() && name[name.size() - suffix.size() - 1] == '.' &&
         base::equals_ignoring_case(name.substr(name.size() - suffix.size()), suffix);
}

base::Status check_address(const Policy& policy, const std::string& text) {
  for (const std::string& permitted : policy.constraints.address_ranges) {
    const auto range = base::parse_address_range(permitted);
    if (!range) return std::unexpected(range.error());
    if (range->contains(text)) return {};
  }
  return base::fail(base::ErrorCode::PermissionDenied,
                    text + " is in none of the authority's address ranges");
}

}  // namespace

std::string_view name(CertificateKind kind) {
  return kind == CertificateKind::Role ? "role" : "identity";
}

base::Status check_names(const Policy& policy, const crypto::AlternativeNames& names) {
  if (!names.uris.empty() || !names.emails.empty()) {
    return base::fail(base::ErrorCode::PermissionDenied,
                      "the authority vouches for DNS names and addresses only");
  }
  const std::size_t count = names.dns.size() + names.addresses.size();
  if (count == 0 || count > policy.name_limit) {
    return base::fail(base::ErrorCode::PermissionDenied,
                      "a certificate needs 1 to " + std::to_string(policy.name_limit) +
                          " names, not " + std::to_string(count));
  }
  for (const std::string& dns : names.dns) {
    LARDER_TRY(crypto::check_dns_name(dns, false));
    if (std::ranges::none_of(policy.constraints.dns_suffixes,
                             [&](const std::string& suffix) { return is_below(dns, suffix); })) {
      return base::fail(base::ErrorCode::PermissionDenied,
                        dns + " is below none of the authority's DNS suffixes");
    }
  }
  for (const std::string& address : names.addresses) LARDER_TRY(check_address(policy, address));
  return {};
}

base::Result<base::WallTime> end_of_life(const Policy& policy, CertificateKind kind,
                                         base::WallTime issuer_end, base::WallTime now) {
  if (issuer_end <= now) {
    return base::fail(base::ErrorCode::FailedPrecondition, "the issuing certificate has expired");
  }
  const std::chrono::days lifetime =
      kind == CertificateKind::Role ? policy.role_lifetime : policy.identity_lifetime;
  return std::min(base::WallTime(now + lifetime), issuer_end);
}

}  // namespace larder::authority
