#include "certs/request_content.h"

#include <algorithm>

#include "base/encoding.h"

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

// As clients compare them: addresses by their value, DNS names in any case and by wildcard too.
bool holds(const crypto::AlternativeNames& names, const std::string& name) {
  if (const auto wanted = crypto::parse_address(name)) {
    return std::ranges::any_of(names.addresses, [&](const std::string& text) {
      const auto address = crypto::parse_address(text);
      return address && *address == *wanted;
    });
  }
  const std::string wanted = base::to_lower(name);
  const auto dot = wanted.find('.');
  const std::string wildcard = dot == std::string::npos ? wanted : "*" + wanted.substr(dot);
  return std::ranges::any_of(names.dns, [&](const std::string& text) {
    const std::string held = base::to_lower(text);
    return held == wanted || held == wildcard;
  });
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
    if (!holds(names, name)) {
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
    if (!holds(names, name)) {
      return fail(ErrorCode::FailedPrecondition,
                  "clients connect by " + name +
                      ", which the request leaves out; make a new request under another name");
    }
  }
  return {};
}

}  // namespace larder::certs
