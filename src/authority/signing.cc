#include "authority/signing.h"

#include <array>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "crypto/issue.h"
#include "crypto/request.h"
#include "crypto/verify.h"

namespace larder::authority {
namespace {

// X.520 bounds a common name to 64 characters.
constexpr std::size_t kCommonNameLimit = 64;

// Everything that will be in the certificate, from our side alone.
crypto::CertificateTemplate make_template(const Grant& grant, const Policy& policy,
                                          const std::string& organization, const Issuer& issuer,
                                          base::WallTime now, base::WallTime end) {
  crypto::CertificateTemplate content;
  content.subject.organization = organization;
  // A common name that is no permitted DNS name makes OpenSSL and GnuTLS refuse the certificate
  // under name constraints, so an address never becomes one.
  if (!grant.names.dns.empty() && grant.names.dns.front().size() <= kCommonNameLimit) {
    content.subject.common_name = grant.names.dns.front();
  }
  content.names = grant.names;
  content.not_before = now - policy.backdating;
  content.not_after = end;
  content.server_auth = grant.kind == CertificateKind::Role;
  content.client_auth = grant.kind == CertificateKind::Identity;
  if (!grant.crl_host.empty()) {
    content.crl_url = "http://" + grant.crl_host + "/.larder/pki/" + issuer.id + ".crl";
  }
  return content;
}

// What a client will do with it: a certificate that no client accepts is never handed out.
base::Status check_as_client(const crypto::Certificate& certificate, const Grant& grant,
                             const Authority& authority, const Issuer& issuer, base::WallTime now) {
  const std::array roots{authority.root()};
  const auto trust = crypto::TrustStore::from_certificates(roots);
  if (!trust) return std::unexpected(trust.error());
  std::vector<std::string> names = grant.names.dns;
  names.insert(names.end(), grant.names.addresses.begin(), grant.names.addresses.end());
  const std::array intermediates{issuer.certificate};
  return crypto::verify_chain(certificate, intermediates, *trust,
                              grant.kind == CertificateKind::Role ? crypto::ChainPurpose::Server
                                                                  : crypto::ChainPurpose::Client,
                              names, now);
}

}  // namespace

base::Result<std::string> key_id(const crypto::PublicKey& key) {
  const auto spki = key.to_spki_der();
  if (!spki) return std::unexpected(spki.error());
  return crypto::sha256_hex(*spki);
}

base::Result<SigningAnswer> sign(std::string_view request_pem, Authorisation& authorisation,
                                 IssueRecords& records, const Policy& policy,
                                 const Authority& authority, base::WallTime now) {
  // Parse.
  const auto request = crypto::CertificateRequest::from_pem(request_pem);
  if (!request) return std::unexpected(request.error());
  const auto key = request->public_key();
  if (!key) return std::unexpected(key.error());
  const auto id = key_id(*key);
  if (!id) return std::unexpected(id.error());

  // Prove possession.
  LARDER_TRY(request->verify());

  // Verify the authorisation, then spend it once.
  const auto grant = authorisation.verify(*key, now);
  if (!grant) return std::unexpected(grant.error());
  LARDER_TRY(authorisation.spend(*key, now));

  // Check names and lifetime against policy.
  LARDER_TRY(check_names(policy, grant->names));
  const Issuer issuer = authority.issuing();
  const auto end = end_of_life(policy, grant->kind, issuer.certificate.not_after(), now);
  if (!end) return std::unexpected(end.error());

  // Build from our template, sign.
  const crypto::CertificateTemplate content =
      make_template(*grant, policy, authority.settings().organization, issuer, now, *end);
  auto certificate = crypto::issue(content, *key, issuer.certificate, issuer.key);
  if (!certificate) return std::unexpected(certificate.error());
  LARDER_TRY(check_as_client(*certificate, *grant, authority, issuer, now));

  // Record before the answer: what is not in the ledger was never issued.
  LARDER_TRY(records.record({*certificate, *grant, *id, issuer.id, now}));

  // Answer.
  std::string chain = certificate->to_pem() + issuer.certificate.to_pem();
  return SigningAnswer{std::move(*certificate), std::move(chain)};
}

}  // namespace larder::authority
