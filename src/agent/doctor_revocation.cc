#include "agent/doctor_revocation.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/doctor_findings.h"
#include "crypto/revocation.h"

namespace larder::agent {

using base::ErrorCode;
using client::PlaceAnswer;
using crypto::Certificate;
using crypto::RevocationStatus;

namespace {

constexpr std::size_t kCertificatesLimit = 4;

std::string until_text(const RevocationStatus& status) {
  return status.next_update ? ", until " + base::to_rfc3339(*status.next_update) : std::string();
}

Finding revoked(const char* check, const Certificate& certificate, const RevocationStatus& status,
                const std::string& source) {
  const std::string since =
      status.revoked_at ? " since " + base::to_rfc3339(*status.revoked_at) : std::string();
  const std::string reason = status.reason.empty() ? std::string() : " (" + status.reason + ")";
  return wrong(
      check,
      fmt::format("\"{}\" is revoked{}{}, says {}", certificate.subject(), since, reason, source),
      certificate.is_ca()
          ? "have the request signed below another issuing CA and import the new chain: "
            "clients that look refuse everything below this one"
          : "make a new key (`larder cert request --name` with a new name), have its "
            "request signed and import it: clients that look refuse this certificate");
}

const char* kind_text(PlaceAnswer::Kind kind) {
  return kind == PlaceAnswer::Kind::Responder ? "OCSP" : "revocation list";
}

// The place answered, with something that says nothing.
bool is_useless_answer(ErrorCode code) {
  return code == ErrorCode::Unauthenticated || code == ErrorCode::FailedPrecondition ||
         code == ErrorCode::InvalidArgument || code == ErrorCode::ResourceExhausted;
}

bool names_places(const Certificate& certificate) {
  const crypto::RevocationPlaces places = crypto::revocation_places(certificate);
  return !places.responders.empty() || !places.lists.empty();
}

}  // namespace

Finding judge_staple(std::string_view staple, const Certificate& leaf, const Certificate* issuer,
                     base::WallTime now) {
  constexpr const char* kCheck = "staple";
  if (staple.empty()) {
    if (crypto::demands_staple(leaf)) {
      return wrong(kCheck,
                   "no OCSP answer is stapled, and the certificate demands one (must-staple): "
                   "clients may refuse it",
                   "`larder cert list` on the node says why it has no answer from the responder; "
                   "else have the certificate signed without that demand");
    }
    return skipped(kCheck, crypto::revocation_places(leaf).responders.empty()
                               ? "no OCSP answer is stapled; the certificate names no responder"
                               : "no OCSP answer is stapled: clients ask the responder themselves");
  }
  if (issuer == nullptr) {
    return skipped(kCheck,
                   "an OCSP answer is stapled; what it says cannot be told, because the issuer's "
                   "certificate is neither sent nor trusted here");
  }
  const auto status = crypto::read_ocsp_response(staple, leaf, *issuer, now);
  if (!status) {
    return wrong(kCheck, "the stapled OCSP answer is of no use: " + status.error().message,
                 "let the server staple a newer answer, or none: clients may refuse this one; are "
                 "its clock and this client's right?");
  }
  if (status->is_revoked) return revoked(kCheck, leaf, *status, "the stapled OCSP answer");
  return well(kCheck, "the stapled OCSP answer says good" + until_text(*status));
}

Finding judge_place(const PlaceAnswer& answer, const Certificate& certificate) {
  constexpr const char* kCheck = "revocation";
  const std::string source = fmt::format("{} ({})", answer.url, kind_text(answer.kind));
  if (answer.status) {
    if (answer.status->is_revoked) return revoked(kCheck, certificate, *answer.status, source);
    return well(kCheck, fmt::format("\"{}\" is not revoked, says {}{}", certificate.subject(),
                                    source, until_text(*answer.status)));
  }
  const base::Error& error = answer.status.error();
  const std::string why =
      error.message.contains(answer.url) ? error.message : answer.url + ": " + error.message;
  const std::string what = fmt::format(
      "the {} for \"{}\"",
      answer.kind == PlaceAnswer::Kind::Responder ? "OCSP responder" : "revocation list",
      certificate.subject());
  if (error.code == ErrorCode::PermissionDenied) {
    return doubtful(kCheck, what + " was not asked for: " + why,
                    "if clients cannot reach that address either, have certificates signed with "
                    "one that they reach");
  }
  if (is_useless_answer(error.code)) {
    return doubtful(kCheck, what + " answers, and says nothing: " + why,
                    "tell whoever runs the CA: clients that insist on an answer refuse the "
                    "certificate");
  }
  return doubtful(kCheck, what + " cannot be had from here: " + why,
                  "let clients and the node reach it through firewall and proxy, or tell whoever "
                  "runs the CA: clients that insist on an answer refuse the certificate");
}

std::vector<Finding> examine_revocation(std::span<const Certificate> chain, std::string_view staple,
                                        std::span<const Certificate> path,
                                        const client::HttpExchange& exchange, base::WallTime now) {
  constexpr const char* kCheck = "revocation";
  const Certificate& leaf = chain.front();
  std::vector<Finding> findings{
      judge_staple(staple, leaf, client::issuer_of(leaf, path, chain), now)};
  if (!names_places(leaf)) {
    findings.push_back(
        skipped(kCheck,
                "the certificate names no http address of an OCSP responder or of a revocation "
                "list: whether it is revoked can be asked nowhere"));
  }
  if (path.empty()) {
    if (std::ranges::any_of(chain, names_places)) {
      findings.push_back(skipped(
          kCheck, "responders and lists were not asked: the chain that names them is not trusted"));
    }
    return findings;
  }
  for (const Certificate& certificate : path.first(std::min(path.size(), kCertificatesLimit))) {
    if (certificate.is_self_signed()) break;  // roots are taken back by taking trust away
    const Certificate* const issuer = client::issuer_of(certificate, path, {});
    if (issuer == nullptr) break;
    for (const PlaceAnswer& answer : client::ask_every_place(certificate, *issuer, exchange, now)) {
      findings.push_back(judge_place(answer, certificate));
    }
  }
  return findings;
}

}  // namespace larder::agent
