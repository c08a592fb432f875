#include "certs/request_content.h"

#include <algorithm>

namespace larder::certs {

using base::ErrorCode;
using base::fail;
using base::Status;

namespace {

constexpr std::size_t kCommonNameLimit = 64;

crypto::AlternativeNames names_from(const std::vector<std::string>& texts) {
  crypto::AlternativeNames names;
  for (const std::string& text : texts) {
    (crypto::parse_address(text) ? names.addresses : names.dns).push_back(text);
  }
  return names;
}

bool is_empty(const crypto::DistinguishedName& subject) {
  return subject.common_name.empty() && subject.country.empty() && subject.state.empty() &&
         subject.organization.empty();
}

}  // namespace

RequestContent request_content(RequestContent asked_for,
                               const std::vector<std::string>& connection_names) {
  auto& [subject, names] = asked_for;
  if (names.empty()) names = names_from(connection_names);
  if (names.empty() && crypto::check_dns_name(subject.common_name, false)) {
    names.dns.push_back(subject.common_name);
  }
  // Some authorities refuse a request whose subject is empty, AD CS for one.
  if (is_empty(subject) && !names.dns.empty() && names.dns.front().size() <= kCommonNameLimit) {
    subject.common_name = names.dns.front();
  }
  return asked_for;
}

std::vector<std::string> request_warnings(crypto::KeyAlgorithm algorithm,
                                          const crypto::AlternativeNames& names,
                                          const std::vector<std::string>& connection_names) {
  std::vector<std::string> warnings;
  if (algorithm == crypto::KeyAlgorithm::Ed25519 || algorithm == crypto::KeyAlgorithm::Ed448) {
    warnings.push_back("Windows and web browsers cannot use " +
                       std::string(crypto::name(algorithm)) +
                       " certificates; use ec or rsa for them");
  }
  for (const std::string& name : connection_names) {
    const auto& kind = crypto::parse_address(name) ? names.addresses : names.dns;
    if (std::ranges::find(kind, name) == kind.end()) {
      warnings.push_back("clients connect by " + name +
                         ", which is not among the request's alternative names; a certificate "
                         "without it will be refused at import");
    }
  }
  return warnings;
}

// A certificate without one of them would be refused after a signer has had the trouble.
Status check_request_names(const crypto::CertificateRequest& request,
                           const std::vector<std::string>& connection_names) {
  const crypto::AlternativeNames names = request.alternative_names();
  for (const std::string& name : connection_names) {
    const auto& kind = crypto::parse_address(name) ? names.addresses : names.dns;
    const auto parent = name.find('.');
    const bool wildcard = parent != std::string::npos &&
                          std::ranges::find(kind, "*" + name.substr(parent)) != kind.end();
    if (std::ranges::find(kind, name) == kind.end() && !wildcard) {
      return fail(ErrorCode::FailedPrecondition,
                  "clients connect by " + name +
                      ", which the request leaves out; make a new request under another name");
    }
  }
  return {};
}

}  // namespace larder::certs
