#include "certs/import_checks.h"

#include <algorithm>

#include "base/encoding.h"
#include "crypto/der_kind.h"
#include "crypto/handshake.h"

namespace larder::certs {

using base::ErrorCode;
using base::fail;
using base::Result;
using crypto::Certificate;

namespace {

constexpr std::size_t kContentLimit = 1024 * 1024;
constexpr int kSecurityBitsMinimum = 112;
constexpr std::chrono::hours kShortLife{24 * 14};

std::unexpected<base::Error> refuse_private_key() {
  return fail(ErrorCode::InvalidArgument,
              "this is a private key, not a certificate. Nothing of it was stored. The node makes "
              "its own key, which never leaves it; if this key was sent around, replace it. Import "
              "only the certificate that the CA returned");
}

std::unexpected<base::Error> refuse_pkcs7() {
  return fail(ErrorCode::InvalidArgument,
              "this is PKCS#7; convert it with: openssl pkcs7 -print_certs -in FILE -out chain.pem "
              "(add -inform DER for a binary file)");
}

std::unexpected<base::Error> refuse_pkcs12() {
  return fail(ErrorCode::InvalidArgument,
              "this is PKCS#12, which holds a private key. Import only the certificate that the CA "
              "returned for this node's request, as PEM or DER");
}

Result<std::vector<Certificate>> read_der(std::string_view content) {
  switch (crypto::classify_der(base::as_bytes(content))) {
    case crypto::DerKind::Certificate:
      break;
    case crypto::DerKind::PrivateKey:
      return refuse_private_key();
    case crypto::DerKind::Pkcs7:
      return refuse_pkcs7();
    case crypto::DerKind::Pkcs12:
      return refuse_pkcs12();
    case crypto::DerKind::Other:
      return fail(ErrorCode::InvalidArgument, "this is neither a PEM nor a DER certificate");
  }
  auto certificate = Certificate::from_der(base::as_bytes(content));
  if (!certificate) return std::unexpected(certificate.error());
  return std::vector<Certificate>{std::move(*certificate)};
}

Check passed(std::string name, std::string message) {
  return {
      .name = std::move(name), .verdict = Check::Verdict::Passed, .message = std::move(message)};
}
Check warning(std::string name, std::string message) {
  return {
      .name = std::move(name), .verdict = Check::Verdict::Warning, .message = std::move(message)};
}
Check failed(std::string name, std::string message) {
  return {
      .name = std::move(name), .verdict = Check::Verdict::Failed, .message = std::move(message)};
}

Check check_validity(const Certificate& leaf, base::WallTime now) {
  const std::string from = base::to_rfc3339(leaf.not_before());
  const std::string until = base::to_rfc3339(leaf.not_after());
  if (now > leaf.not_after()) {
    return failed("validity", "the certificate expired on " + until +
                                  "; have the CA sign the same request again");
  }
  if (now < leaf.not_before()) {
    return failed("validity", "the certificate is not valid before " + from + "; it is now " +
                                  base::to_rfc3339(now) + ": check this machine's clock, or wait");
  }
  if (leaf.not_after() - now < kShortLife) {
    return warning("validity", "the certificate expires soon, on " + until);
  }
  return passed("validity", "valid until " + until);
}

Check check_usage(const Certificate& leaf) {
  if (leaf.has_server_auth()) return passed("usage", "for server authentication");
  return failed("usage",
                "the certificate is not for servers: its extended key usage lacks "
                "serverAuth (1.3.6.1.5.5.7.3.1); use a web-server template at the CA");
}

Check check_authority(const Certificate& leaf) {
  if (!leaf.is_ca()) return passed("authority", "an end-entity certificate");
  return failed("authority",
                "the certificate is a CA's own; a server must not hold one. Issue an end-entity "
                "certificate (basicConstraints CA:FALSE)");
}

Check check_issuer(const Certificate& leaf) {
  if (!leaf.is_self_signed()) return passed("issuer", "issued by " + leaf.issuer());
  return failed("issuer",
                "the certificate is self-signed; no client trusts it. Have the request signed by a "
                "CA that your clients trust");
}

Check check_names(const Certificate& leaf, std::span<const std::string> names) {
  if (names.empty()) {
    return warning("names",
                   "no connection_names are set, so it cannot be checked whether the certificate "
                   "covers what clients connect to");
  }
  std::string missing;
  for (const std::string& name : names) {
    if (!leaf.covers(name)) missing += (missing.empty() ? "" : ", ") + name;
  }
  if (missing.empty()) return passed("names", "covers every connection name");
  return failed("names", "the certificate's alternative names do not cover " + missing +
                             ", by which clients connect to this node; make a request with these "
                             "names, or correct connection_names");
}

Check check_strength(const Certificate& leaf) {
  const auto key = leaf.public_key();
  if (!key) return failed("strength", key.error().message);
  if (key->security_bits() < kSecurityBitsMinimum) {
    return failed("strength", "the key (" + key->description() +
                                  ") is too weak; use RSA 2048 or more, or EC P-256");
  }
  if (leaf.signature_security_bits() < kSecurityBitsMinimum) {
    return failed("strength", "the CA signed with " + leaf.signature_algorithm() +
                                  ", which clients refuse; it must use SHA-256 or better");
  }
  if (key->type() == crypto::KeyType::Ed25519 || key->type() == crypto::KeyType::Ed448) {
    return warning("strength", "Windows and web browsers cannot use " + key->description() +
                                   " certificates; use EC P-256 or RSA for them");
  }
  return passed("strength", key->description() + ", " + leaf.signature_algorithm());
}

// Adds "chain"; true when the chain leads to a root of the store.
bool check_trust(std::span<const Certificate> chain, const crypto::TrustStore& trust,
                 base::WallTime now, std::vector<Check>& checks) {
  const auto verified = crypto::verify_chain(chain.front(), chain.subspan(1), trust,
                                             crypto::ChainPurpose::Server, {}, now);
  if (verified) {
    checks.push_back(passed("chain", "leads to a root that clients trust"));
    return true;
  }
  if (verified.error().code == ErrorCode::NotFound) {
    checks.push_back(warning(
        "chain",
        "unproven: no path from this certificate to a root that is known here (" +
            verified.error().message + "). Clients must trust the root of \"" +
            chain.back().issuer() +
            "\". To have it proven, add the CA's root to client_trust, and any intermediate "
            "certificates to the imported file, and import again"));
  } else {
    checks.push_back(failed("chain", "clients will refuse the chain: " + verified.error().message));
  }
  return false;
}

Check check_handshake(std::span<const Certificate> chain, const crypto::PrivateKey& key,
                      const crypto::TrustStore* trust, std::span<const std::string> names,
                      base::WallTime now) {
  std::vector<std::string> targets(names.begin(), names.end());
  if (targets.empty()) {
    const auto own = chain.front().alternative_names();
    if (!own.dns.empty())
      targets.push_back(own.dns.front());
    else if (!own.addresses.empty())
      targets.push_back(own.addresses.front());
    // A wildcard is no name to connect to.
    if (targets.empty() || targets.front().starts_with("*")) {
      targets = {"localhost"};
      trust = nullptr;
    }
  }
  for (const std::string& name : targets) {
    if (const auto proof = crypto::prove_handshake(chain, key, trust, name, now); !proof) {
      return failed("handshake", proof.error().message);
    }
  }
  return passed("handshake", "test handshakes over TLS 1.2 and 1.3 succeed");
}

}  // namespace

Result<std::vector<Certificate>> read_certificates(std::string_view content) {
  if (content.size() > kContentLimit) {
    return fail(ErrorCode::ResourceExhausted, "the file is larger than 1 MiB");
  }
  if (content.empty()) return fail(ErrorCode::InvalidArgument, "the file is empty");
  // Before anything is parsed: a key beside the certificate is refused as well.
  if (content.find("PRIVATE KEY-----") != std::string_view::npos) return refuse_private_key();
  if (content.find("-----BEGIN ") == std::string_view::npos) return read_der(content);
  if (content.find("-----BEGIN CERTIFICATE REQUEST") != std::string_view::npos ||
      content.find("-----BEGIN NEW CERTIFICATE REQUEST") != std::string_view::npos) {
    return fail(ErrorCode::InvalidArgument,
                "this is the request; import the certificate that the CA made from it");
  }
  if (content.find("-----BEGIN PKCS7") != std::string_view::npos ||
      content.find("-----BEGIN CMS") != std::string_view::npos) {
    return refuse_pkcs7();
  }
  return crypto::parse_certificates(content);
}

std::vector<Certificate> order_chain(const Certificate& leaf, std::span<const Certificate> others) {
  std::vector<Certificate> chain{leaf};
  for (std::size_t step = 0; step < others.size() && !chain.back().is_self_signed(); ++step) {
    const auto issuer = std::ranges::find_if(others, [&](const Certificate& candidate) {
      return !(candidate == chain.back()) && candidate.is_issuer_of(chain.back());
    });
    if (issuer == others.end() || std::ranges::find(chain, *issuer) != chain.end()) break;
    chain.push_back(*issuer);
  }
  if (chain.size() > 1 && chain.back().is_self_signed()) chain.pop_back();
  return chain;
}

bool CheckReport::passed() const {
  return std::ranges::none_of(
      checks, [](const Check& check) { return check.verdict == Check::Verdict::Failed; });
}

std::string CheckReport::failures() const {
  std::string text;
  for (const Check& check : checks) {
    if (check.verdict != Check::Verdict::Failed) continue;
    text += (text.empty() ? "" : "\n") + check.message;
  }
  return text;
}

CheckReport check_chain(std::span<const Certificate> chain, const crypto::PrivateKey& key,
                        const crypto::TrustStore& trust, std::span<const std::string> names,
                        base::WallTime now) {
  const Certificate& leaf = chain.front();
  CheckReport report;
  report.checks = {check_validity(leaf, now), check_usage(leaf),        check_authority(leaf),
                   check_issuer(leaf),        check_names(leaf, names), check_strength(leaf)};
  // What follows would only repeat a failure in other words.
  if (!report.passed()) return report;
  const bool trusted = check_trust(chain, trust, now, report.checks);
  if (!report.passed()) return report;
  report.checks.push_back(check_handshake(chain, key, trusted ? &trust : nullptr, names, now));
  report.proven = trusted && report.passed();
  return report;
}

}  // namespace larder::certs
