// What a signer signs for a request that is held here, and whether that is taken.

#include <algorithm>
#include <functional>

#include "base/file.h"
#include "certs/certificate_store.h"
#include "certs/chain_end.h"
#include "certs/chain_order.h"
#include "certs/import_forms.h"
#include "certs/request_content.h"
#include "crypto/request.h"

namespace larder::certs {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;
using crypto::Certificate;

Result<ImportOutcome> CertificateStore::renew(const std::string& key_name, Signer& signer,
                                              const base::Clock& clock, const Pause& pause) {
  LARDER_TRY(check_key_name(key_name));
  const std::string path = folder_.request_path(key_name);
  if (!file_exists(path)) {
    return fail(ErrorCode::FailedPrecondition, "there is no request named " + key_name +
                                                   "; make one: larder cert request --name " +
                                                   key_name);
  }
  const auto text = base::read_file(path, kSmallFileLimit);
  if (!text) return std::unexpected(text.error());
  const auto request = crypto::CertificateRequest::from_pem(*text);
  if (!request) return base::with_context(path, request.error());
  const auto active = folder_.read_active();
  if (!active) return std::unexpected(active.error());
  // What others that are served cover, this one may leave out, and what was not covered before: the
  // renewal takes nothing away, and the one in use would end otherwise.
  const Beside others = beside(nullptr, key_name, *active, clock.wall());
  std::vector<std::string> names = settings_.connection_names;
  const auto covered_by_any = [](const std::vector<Certificate>& some) {
    return [&some](const std::string& name) {
      return std::ranges::any_of(some, [&](const Certificate& each) { return each.covers(name); });
    };
  };
  const auto was_covered = covered_by_any(others.followed);
  if (others.follows_unreadable || std::ranges::any_of(names, was_covered)) {
    std::erase_if(names, std::not_fn(was_covered));
  }
  std::erase_if(names, covered_by_any(others.leaves));
  LARDER_TRY(check_request_names(*request, names));
  const auto key = crypto::PrivateKey::load(folder_.key_path(key_name));
  if (!key) return std::unexpected(key.error());
  // Not under the lock: a signer may take minutes.
  const auto chain = signer.sign(*text);
  if (!chain) return base::with_context(signer.name(), chain.error());
  auto outcome = import_signed(*chain, key_name, *key, signer.name(), clock, pause);
  // A busy folder or a full disk passes; the same chain would be refused again.
  if (outcome || outcome.error().code == ErrorCode::InvalidArgument) signer.settle();
  return outcome;
}

Result<ImportOutcome> CertificateStore::import_signed(
    const std::string& chain, const std::string& key_name, const crypto::PrivateKey& key,
    std::string_view signer, const base::Clock& clock, const Pause& pause) {
  const auto answer = read_certificates(chain);
  if (!answer) {
    return fail(ErrorCode::InvalidArgument, std::string(signer) + ": " + answer.error().message);
  }
  // A certificate of another key held here would be imported too, and be the wrong one.
  const Certificate* const leaf = choose_leaf(answer->certificates, key, clock.wall());
  if (leaf == nullptr) {
    return fail(ErrorCode::InvalidArgument, std::string(signer) +
                                                ": the answer holds no certificate for the key " +
                                                key_name + ": another request was signed");
  }
  const auto candidate = make_candidate(*leaf, answer->certificates, clock.wall());
  if (!candidate) return std::unexpected(candidate.error());
  LARDER_TRY(check_newer(candidate->chain, key_name, clock.wall()));
  const auto held = folder_.lock(pause);
  if (!held) return std::unexpected(held.error());
  auto outcome =
      activate({.name = key_name, .key = key}, *candidate, Source::Import, {}, clock.wall());
  if (outcome && !outcome->report.passed()) {
    return fail(ErrorCode::InvalidArgument, outcome->report.failures());
  }
  return outcome;
}

Status CertificateStore::check_newer(const std::vector<Certificate>& chain,
                                     const std::string& key_name, base::WallTime now) const {
  const auto active = folder_.read_active();
  if (!active) return std::unexpected(active.error());
  const Certificate& leaf = chain.front();
  const auto end_of = [&](const std::vector<Certificate>& each) {
    return first_to_end(each, settings_.client_trust, now).not_after();
  };
  for (const ActiveFile::Choice& choice : active->choices) {
    if (choice.key_name != key_name) continue;
    const auto current = load(choice);
    if (!current || leaf.not_after() > current->chain.front().not_after()) continue;
    // The same certificate may come with an intermediate that lasts longer.
    if (end_of(chain) > end_of(current->chain)) continue;
    return fail(ErrorCode::InvalidArgument,
                "the signer returned a certificate that is no newer: it ends on " +
                    base::to_rfc3339(leaf.not_after()) + ", the one in use on " +
                    base::to_rfc3339(current->chain.front().not_after()) +
                    "; if that is right, retire the one in use first");
  }
  return {};
}

}  // namespace larder::certs
