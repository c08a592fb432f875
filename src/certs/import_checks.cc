#include "certs/import_checks.h"

#include <algorithm>
#include <iterator>

#include "certs/chain_end.h"
#include "crypto/handshake.h"

namespace larder::certs {

using base::ErrorCode;
using crypto::Certificate;

namespace {

constexpr int kKeyBitsMinimum = 112;
constexpr int kSignatureBitsMinimum = 128;  // SHA-256; Windows verifies nothing below
constexpr std::chrono::hours kShortLife{24 * 14};

Check passed(Check::Kind kind, std::string message) {
  return {.kind = kind, .verdict = Check::Verdict::Passed, .message = std::move(message)};
}
Check warning(Check::Kind kind, std::string message) {
  return {.kind = kind, .verdict = Check::Verdict::Warning, .message = std::move(message)};
}
Check failed(Check::Kind kind, std::string message) {
  return {.kind = kind, .verdict = Check::Verdict::Failed, .message = std::move(message)};
}

Check check_expiry(const Certificate& leaf, base::WallTime now) {
  const std::string until = base::to_rfc3339(leaf.not_after());
  if (now > leaf.not_after()) {
    return failed(Check::Kind::Expiry, "the certificate expired on " + until +
                                           "; have the CA sign the same request again");
  }
  if (leaf.not_after() - now < kShortLife) {
    return warning(Check::Kind::Expiry, "the certificate expires soon, on " + until);
  }
  return passed(Check::Kind::Expiry, "valid until " + until);
}

Check check_start(const Certificate& leaf, base::WallTime now) {
  const std::string from = base::to_rfc3339(leaf.not_before());
  if (now >= leaf.not_before()) return passed(Check::Kind::Start, "valid since " + from);
  return failed(Check::Kind::Start, "the certificate is not valid before " + from + "; it is now " +
                                        base::to_rfc3339(now) +
                                        ": check this machine's clock, or wait");
}

Check check_usage(const Certificate& leaf) {
  if (!leaf.may_sign()) {
    return failed(Check::Kind::Usage,
                  "the certificate's key usage lacks digitalSignature, without which no TLS "
                  "handshake succeeds; use a web-server template at the CA");
  }
  if (leaf.has_server_auth()) return passed(Check::Kind::Usage, "for server authentication");
  return failed(Check::Kind::Usage,
                "the certificate is not for servers: its extended key usage lacks "
                "serverAuth (1.3.6.1.5.5.7.3.1); use a web-server template at the CA");
}

Check check_authority(const Certificate& leaf) {
  if (!leaf.is_ca()) return passed(Check::Kind::Authority, "an end-entity certificate");
  return failed(Check::Kind::Authority,
                "the certificate is a CA's own; a server must not hold one. Issue an end-entity "
                "certificate (basicConstraints CA:FALSE)");
}

Check check_issuer(const Certificate& leaf) {
  if (!leaf.is_self_signed()) return passed(Check::Kind::Issuer, "issued by " + leaf.issuer());
  return failed(Check::Kind::Issuer,
                "the certificate is self-signed; no client trusts it. Have the request signed by a "
                "CA that your clients trust");
}

std::vector<std::string> covered_names(const Certificate& leaf,
                                       std::span<const std::string> names) {
  std::vector<std::string> covered;
  std::ranges::copy_if(names, std::back_inserter(covered),
                       [&](const std::string& name) { return leaf.covers(name); });
  return covered;
}

Check check_names(const Certificate& leaf, const ExpectedNames& expected) {
  if (expected.names.empty()) {
    return warning(Check::Kind::Names,
                   "no connection_names are set, so it cannot be checked whether the certificate "
                   "covers what clients connect to");
  }
  const auto covered_by_any = [](std::span<const Certificate> some, const std::string& name) {
    return std::ranges::any_of(some, [&](const Certificate& each) { return each.covers(name); });
  };
  const auto was_covered = [&](const std::string& name) {
    return covered_by_any(expected.followed, name);
  };
  const bool covers_none = covered_names(leaf, expected.names).empty();
  std::string missing;
  bool takes_away = expected.followed.empty();
  for (const std::string& name : expected.names) {
    if (leaf.covers(name) || (!covers_none && covered_by_any(expected.beside, name))) continue;
    missing += (missing.empty() ? "" : ", ") + name;
    takes_away = takes_away || was_covered(name);
  }
  if (missing.empty()) return passed(Check::Kind::Names, "every connection name is covered");
  if (!covers_none && (expected.partial || !takes_away)) {
    return warning(Check::Kind::Names, "no certificate that is served covers " + missing +
                                           ": clients that connect by it will be refused");
  }
  return failed(Check::Kind::Names,
                "the certificate's alternative names do not cover " + missing +
                    ", by which clients connect to this node; make a request with these "
                    "names, or correct connection_names" +
                    (covers_none ? ""
                                 : "; when other certificates are to cover them, import it with "
                                   "--partial"));
}

Check check_strength(const Certificate& leaf) {
  const auto key = leaf.public_key();
  if (!key) return failed(Check::Kind::Strength, key.error().message);
  if (key->security_bits() < kKeyBitsMinimum) {
    return failed(Check::Kind::Strength, "the key (" + key->description() +
                                             ") is too weak; use RSA 2048 or more, or EC P-256");
  }
  if (leaf.signature_security_bits() < kSignatureBitsMinimum) {
    return failed(Check::Kind::Strength,
                  "the CA signed with " + leaf.signature_algorithm() +
                      ", which clients refuse; it must use SHA-256 or better");
  }
  if (key->type() == crypto::KeyType::Ed25519 || key->type() == crypto::KeyType::Ed448) {
    return warning(Check::Kind::Strength, "Windows and web browsers cannot use " +
                                              key->description() +
                                              " certificates; use EC P-256 or RSA for them");
  }
  return passed(Check::Kind::Strength, key->description() + ", " + leaf.signature_algorithm());
}

// One that signed a certificate of the chain and may not; null when there is none.
const Certificate* find_false_issuer(std::span<const Certificate> chain,
                                     std::span<const Certificate> others) {
  for (const Certificate& each : chain.subspan(1)) {
    if (!each.is_ca()) return &each;
  }
  const auto beside = std::ranges::find_if(others, [&](const Certificate& each) {
    return !each.is_ca() && chain.back().was_signed_by(each);
  });
  return beside == others.end() ? nullptr : &*beside;
}

// Adds "chain"; true when the chain leads to a root of the store.
bool check_trust(std::span<const Certificate> chain, const crypto::TrustStore& trust,
                 base::WallTime now, std::span<const Certificate> others,
                 std::vector<Check>& checks) {
  const auto verified = crypto::verify_chain(chain.front(), chain.subspan(1), trust,
                                             crypto::ChainPurpose::Server, {}, now);
  if (verified) {
    const Certificate& ending = first_to_end(chain, &trust, now);
    checks.push_back(ending == chain.front()
                         ? passed(Check::Kind::Chain, "leads to a root that clients trust")
                         : warning(Check::Kind::Chain,
                                   "clients will refuse the chain from " +
                                       base::to_rfc3339(ending.not_after()) +
                                       " on: the intermediate certificate \"" + ending.subject() +
                                       "\" ends before the certificate itself. Ask the CA for "
                                       "what follows it, and import again"));
    return true;
  }
  if (const Certificate* const issuer = find_false_issuer(chain, others)) {
    checks.push_back(failed(
        Check::Kind::Chain,
        "clients will refuse the chain: \"" + issuer->subject() +
            "\" signed a certificate of it and may not, because it is no CA "
            "(basicConstraints CA:FALSE) or its key usage lacks keyCertSign. Ask the CA for its "
            "proper intermediate certificate, and import that together with the leaf"));
  } else if (verified.error().code == ErrorCode::NotFound) {
    checks.push_back(warning(
        Check::Kind::Chain,
        "unproven: no path from this certificate to a root that is known here (" +
            verified.error().message + "). Clients must trust the root of \"" +
            chain.back().issuer() +
            "\". To have it proven, add the CA's root to client_trust, and any intermediate "
            "certificates to the imported file, and import again"));
  } else {
    checks.push_back(
        failed(Check::Kind::Chain, "clients will refuse the chain: " + verified.error().message));
  }
  return false;
}

Check check_handshake(std::span<const Certificate> chain, const crypto::PrivateKey& key,
                      const crypto::TrustStore* trust, std::vector<std::string> targets,
                      base::WallTime now) {
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
      return failed(Check::Kind::Handshake, proof.error().message);
    }
  }
  return passed(Check::Kind::Handshake, "test handshakes over TLS 1.2 and 1.3 succeed");
}

}  // namespace

CheckReport check_chain(std::span<const Certificate> chain, const crypto::PrivateKey& key,
                        const crypto::TrustStore& trust, const ExpectedNames& expected,
                        base::WallTime now, std::span<const Certificate> others) {
  const Certificate& leaf = chain.front();
  CheckReport report;
  report.checks = {check_expiry(leaf, now), check_start(leaf, now), check_usage(leaf),
                   check_authority(leaf),   check_issuer(leaf),     check_names(leaf, expected),
                   check_strength(leaf)};
  // What follows would only repeat a failure in other words.
  if (!report.passed()) return report;
  const bool trusted = check_trust(chain, trust, now, others, report.checks);
  if (!report.passed()) return report;
  report.checks.push_back(check_handshake(chain, key, trusted ? &trust : nullptr,
                                          covered_names(leaf, expected.names), now));
  report.proven = trusted && report.passed();
  return report;
}

}  // namespace larder::certs
