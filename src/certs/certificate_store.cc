#include "certs/certificate_store.h"

#include <unistd.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/file.h"
#include "base/log.h"
#include "certs/chain_completion.h"
#include "certs/chain_order.h"
#include "certs/import_checks.h"
#include "certs/import_forms.h"
#include "certs/purge.h"
#include "certs/request_content.h"
#include "certs/serving_set.h"
#include "crypto/request.h"

namespace larder::certs {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;
using crypto::Certificate;

namespace {

constexpr std::size_t kShortIdLength = 8;   // to name a certificate by
constexpr std::size_t kShownIdLength = 16;  // in sentences
constexpr mode_t kFolderMode = 0750;
constexpr mode_t kKeyFolderMode = 0700;

// As consoles show it, with capitals and colons too.
std::string plain_digits(std::string_view id) {
  std::string plain = base::to_lower(id);
  std::erase(plain, ':');
  return plain;
}

// Clients are not helped by the names of such a one.
bool has_ended(const ServingCertificate& certificate, base::WallTime now) {
  return certificate.chain.front().not_after() <= now;
}

Check note_completed(std::span<const Certificate> chain, std::size_t came) {
  std::string added;
  for (const Certificate& each : chain.subspan(came)) {
    added += (added.empty() ? "\"" : ", \"") + each.subject() + "\"";
  }
  return {.kind = Check::Kind::Chain,
          .verdict = Check::Verdict::Warning,
          .message = "the chain was not complete: " + added +
                     " was added to it from a chain that was imported before. Have the CA return "
                     "the whole chain"};
}

}  // namespace

CertificateStore::CertificateStore(StoreSettings settings)
    : settings_(std::move(settings)), folder_(settings_.folder, settings_.patience) {}

Result<CertificateStore> CertificateStore::open(StoreSettings settings) {
  LARDER_TRY(base::make_directories(settings.folder, kFolderMode));
  return CertificateStore(std::move(settings));
}

Result<RequestOutcome> CertificateStore::make_request(const RequestOptions& options,
                                                      base::WallTime now, const Pause& pause) {
  LARDER_TRY(check_key_name(options.key_name));
  const RequestContent content =
      request_content({options.subject, options.names}, settings_.connection_names);
  const auto held = folder_.lock(pause);
  if (!held) return std::unexpected(held.error());
  const std::string folder = folder_.key_folder(options.key_name);
  const std::string request_path = folder_.request_path(options.key_name);
  if (file_exists(request_path)) {
    return fail(ErrorCode::AlreadyExists,
                "there is a request named " + options.key_name + " already: " + request_path +
                    ". To renew, have it signed again; for a new key choose another name");
  }
  const auto known = folder_.key_names();
  if (!known) return std::unexpected(known.error());
  if (known->size() >= kKeysLimit) {
    return fail(ErrorCode::ResourceExhausted, "there are 100 keys already");
  }
  // A key without a request is left by a crash; nobody has seen it, so it serves as well.
  const std::string key_path = folder_.key_path(options.key_name);
  const bool is_left = file_exists(key_path);
  const auto key = is_left ? crypto::PrivateKey::load(key_path)
                           : crypto::PrivateKey::generate(options.algorithm);
  if (!key) return std::unexpected(key.error());
  if (key->public_key().description() != crypto::name(options.algorithm)) {
    return fail(ErrorCode::FailedPrecondition, folder + " holds a key without a request (" +
                                                   key->public_key().description() +
                                                   "); choose another name");
  }
  const auto request = crypto::CertificateRequest::create(*key, content.subject, content.names);
  if (!request) return std::unexpected(request.error());
  // Nothing is left behind by a request that cannot be made.
  LARDER_TRY(base::make_directories(folder, kKeyFolderMode));
  if (const Status kept = is_left ? Status() : key->create_file(key_path); !kept) {
    ::rmdir(folder.c_str());
    return std::unexpected(kept.error());
  }
  LARDER_TRY(base::write_file_atomically(request_path, request->to_pem(), kFileMode));
  base::log_info("certificate request made", {{"key", options.key_name},
                                              {"algorithm", key->public_key().description()},
                                              {"subject", request->subject()},
                                              {"at", base::to_rfc3339(now)}});
  return RequestOutcome{
      .path = request_path,
      .warnings = request_warnings(options.algorithm, content.names, settings_.connection_names)};
}

Result<ImportOutcome> CertificateStore::import_certificate(std::string_view content,
                                                           const ImportOptions& options,
                                                           base::WallTime now) {
  const auto refused = [](Check check) {
    ImportOutcome outcome;
    outcome.report.checks.push_back(std::move(check));
    return outcome;
  };
  auto handed = read_certificates(content, options.password);
  if (!handed) return refused(std::move(handed.error()));
  const auto held = folder_.lock();
  if (!held) return std::unexpected(held.error());
  const auto key = folder_.find_key_of(handed->certificates);
  if (!key && key.error().code == ErrorCode::NotFound) {
    return refused({.kind = Check::Kind::HeldKey,
                    .verdict = Check::Verdict::Failed,
                    .message = key.error().message});
  }
  if (!key) return std::unexpected(key.error());
  const auto candidate =
      make_candidate(*choose_leaf(handed->certificates, key->key, now), handed->certificates, now);
  if (!candidate) return std::unexpected(candidate.error());
  auto outcome = activate(*key, *candidate, Source::Import, options, now);
  if (outcome && handed->holds_key) {
    outcome->report.checks.insert(
        outcome->report.checks.begin(),
        {.kind = Check::Kind::PrivateKey,
         .verdict = Check::Verdict::Warning,
         .message = "the file holds a private key as well; nothing of it was read or stored. A key "
                    "that is sent around in files should be replaced"});
  }
  return outcome;
}

Result<CertificateStore::Candidate> CertificateStore::make_candidate(
    const Certificate& leaf, const std::vector<Certificate>& certificates,
    base::WallTime now) const {
  const auto trust = crypto::TrustStore::from_files(settings_.client_trust);
  if (!trust) return base::with_context("client_trust", trust.error());
  return Candidate{.chain = order_chain(leaf, certificates, *trust, now), .others = certificates};
}

Result<ImportOutcome> CertificateStore::activate(const HeldKey& key, const Candidate& candidate,
                                                 Source source, const ImportOptions& options,
                                                 base::WallTime now) {
  const auto trust = crypto::TrustStore::from_files(settings_.client_trust);
  if (!trust) return base::with_context("client_trust", trust.error());
  std::vector<Certificate> chain = candidate.chain;
  if (source == Source::Import) {
    const auto held = [&] { return held_issuers(folder_); };
    chain = complete_chain(std::move(chain), held, *trust, now);
  }
  const Certificate& leaf = chain.front();
  auto active = folder_.read_active();
  if (!active) return std::unexpected(active.error());
  const Beside others = beside(&leaf, key.name, *active, now);
  ImportOutcome outcome{.key_name = key.name, .id = leaf.sha256_hex(), .report = {}};
  outcome.report = check_chain(chain, key.key, *trust,
                               {.names = settings_.connection_names,
                                .beside = others.leaves,
                                .followed = others.followed,
                                .partial = options.partial || others.follows_unreadable},
                               now, candidate.others);
  if (chain.size() > candidate.chain.size()) {
    outcome.report.checks.push_back(note_completed(chain, candidate.chain.size()));
  }
  auto revoked = find_revoked(key.name, outcome.id);
  if (!revoked) return std::unexpected(std::move(revoked).error());
  if (*revoked) {
    outcome.report.checks.insert(outcome.report.checks.begin(), std::move(**revoked));
  }
  outcome.disabled = active->disabled;
  if (options.dry_run || !outcome.report.passed()) return outcome;
  if (others.choices.size() >= kServedLimit) {
    return fail(ErrorCode::ResourceExhausted,
                "16 certificates are served side by side already; retire one: larder cert retire");
  }
  LARDER_TRY(folder_.settle_records(*active));
  if (source == Source::Import) {
    LARDER_TRY(folder_.store_imported(key.name, outcome.id, crypto::to_pem(chain), now));
  }
  active->choices = {
      {.key_name = key.name, .certificate_id = outcome.id, .proven = outcome.report.proven}};
  active->choices.insert(active->choices.end(), others.choices.begin(), others.choices.end());
  active->changed_at = now;
  active->reason = (source == Source::Import ? "import of " : "rollback to ") +
                   outcome.id.substr(0, kShownIdLength);
  LARDER_TRY(folder_.commit(*active));
  outcome.active = !active->disabled;
  base::log_info("certificate activated", {{"key", key.name},
                                           {"certificate", outcome.id},
                                           {"reason", active->reason},
                                           {"subject", leaf.subject()},
                                           {"not_after", base::to_rfc3339(leaf.not_after())},
                                           {"proven", outcome.report.proven ? "yes" : "no"},
                                           {"active", outcome.active ? "yes" : "no"}});
  return outcome;
}

Result<std::optional<Check>> CertificateStore::find_revoked(const std::string& key_name,
                                                            const std::string& id) const {
  const auto record = folder_.read_record(key_name, id);
  if (!record && record.error().code == ErrorCode::NotFound) return std::nullopt;  // never seen
  if (!record) {
    base::Error error = record.error();
    error.message +=
        "; so it is not known whether this certificate is recorded as revoked. Restore the file, "
        "or, when the CA says that the certificate is not revoked, move it away and import again";
    return std::unexpected(std::move(error));
  }
  const auto revoked =
      std::ranges::find(record->history, Record::Event::Revoked, &Record::Entry::event);
  if (revoked == record->history.end()) return std::nullopt;
  const std::string reason = revoked->reason.empty() ? "" : " (" + revoked->reason + ")";
  return Check{.kind = Check::Kind::Revoked,
               .verdict = Check::Verdict::Failed,
               .message = "this certificate is revoked, as was recorded here on " +
                          base::to_rfc3339(revoked->at) + reason +
                          "; have the request signed anew, or, where the key is not secret any "
                          "more, that of a new key"};
}

CertificateStore::Beside CertificateStore::beside(const Certificate* next,
                                                  const std::string& key_name,
                                                  const ActiveFile& active,
                                                  base::WallTime now) const {
  Beside found;
  for (const ActiveFile::Choice& served : active.choices) {
    const auto other = load(served);
    const bool is_followed =
        served.key_name == key_name || (other && next && replaces(*next, other->chain.front()));
    if (is_followed) {
      if (other) found.followed.push_back(other->chain.front());
      found.follows_unreadable = found.follows_unreadable || !other;
      continue;
    }
    // What cannot be read is not judged: it is for the administrator to mend or retire.
    found.choices.push_back(served);
    if (other && !has_ended(*other, now)) found.leaves.push_back(other->chain.front());
  }
  return found;
}

Result<ImportOutcome> CertificateStore::rollback(std::string_view key_name, base::WallTime now) {
  const auto held = folder_.lock();
  if (!held) return std::unexpected(held.error());
  const auto inventory = list();
  if (!inventory) return std::unexpected(inventory.error());
  const CertificateFacts* const earlier = choose_earlier(*inventory, key_name, now);
  if (earlier == nullptr) {
    return fail(ErrorCode::FailedPrecondition,
                "no certificate that was served before is still valid; `larder cert list` shows "
                "all");
  }
  const auto files = load({.key_name = earlier->key_name, .certificate_id = earlier->id});
  if (!files) return std::unexpected(files.error());
  return activate({.name = earlier->key_name, .key = files->key},
                  {.chain = files->chain, .others = {}}, Source::Rollback, {.partial = true}, now);
}

Status CertificateStore::disable(const std::string& reason, base::WallTime now) {
  auto change = folder_.begin_change();
  if (!change) return std::unexpected(change.error());
  ActiveFile& active = change->active;
  if (active.disabled) return {};
  active.disabled = true;
  active.changed_at = now;
  active.reason = reason.empty() ? "disabled" : reason;
  LARDER_TRY(folder_.commit(active));
  base::log_info("HTTPS disabled", {{"reason", active.reason}});
  return {};
}

Status CertificateStore::enable(base::WallTime now) {
  auto change = folder_.begin_change();
  if (!change) return std::unexpected(change.error());
  ActiveFile& active = change->active;
  if (!active.disabled) {
    if (!active.choices.empty()) return {};
    return fail(ErrorCode::FailedPrecondition,
                "there is no certificate to enable; import one first: larder cert import");
  }
  base::WallTime latest{};
  std::string unreadable;
  for (const ActiveFile::Choice& choice : active.choices) {
    if (const auto certificate = load(choice)) {
      latest = std::max(latest, certificate->chain.front().not_after());
    } else {
      unreadable += (unreadable.empty() ? "" : "; ") + certificate.error().message;
    }
  }
  if (!active.choices.empty() && latest == base::WallTime{}) {
    return fail(ErrorCode::FailedPrecondition,
                "no certificate that is chosen can be served: " + unreadable +
                    "; put the file back, or import another certificate first");
  }
  if (!active.choices.empty() && latest < now) {
    return fail(ErrorCode::FailedPrecondition,
                "the certificate expired on " + base::to_rfc3339(latest) +
                    "; have its request signed again and import the result first");
  }
  active.disabled = false;
  active.changed_at = now;
  active.reason = "enabled";
  LARDER_TRY(folder_.commit(active));
  base::log_info("HTTPS enabled", {{"certificates", std::to_string(active.choices.size())}});
  return {};
}

Status CertificateStore::retire(std::string_view id, const RetireOptions& options,
                                base::WallTime now) {
  auto change = folder_.begin_change();
  if (!change) return std::unexpected(change.error());
  ActiveFile& active = change->active;
  const auto named = find(id, active);
  if (!named) return std::unexpected(named.error());
  // Put away in its record first: one that is only not served any more would be gone back to.
  auto record = folder_.read_record(named->key_name, named->certificate_id);
  if (!record && record.error().code == ErrorCode::NotFound) {
    record = Record{.certificate_id = named->certificate_id, .history = {}};
    record->add(Record::Event::Imported, now, "the record was missing and is begun anew");
  }
  if (!record) return std::unexpected(record.error());
  const bool was_revoked = std::ranges::find(record->history, Record::Event::Revoked,
                                             &Record::Entry::event) != record->history.end();
  const bool note_revoked = options.revoked && !was_revoked;
  const bool note_retired = !record->is_put_away();
  if (note_revoked) record->add(Record::Event::Revoked, now, options.reason);
  if (note_retired) record->add(Record::Event::Retired, now, options.reason);
  // Its whole folder may be lost.
  if ((note_revoked || note_retired) && file_exists(folder_.key_folder(named->key_name))) {
    LARDER_TRY(folder_.write_record(named->key_name, *record));
  }
  if (std::erase_if(active.choices, [&](const ActiveFile::Choice& choice) {
        return choice.certificate_id == named->certificate_id;
      }) == 0) {
    return {};
  }
  active.changed_at = now;
  active.reason = options.reason.empty() ? "retired" : options.reason;
  return folder_.commit(active);
}

Result<std::vector<Purge>> CertificateStore::purge(bool dry_run, base::WallTime now) {
  if (dry_run) {
    const auto inventory = list();
    if (!inventory) return std::unexpected(inventory.error());
    return plan_purges(*inventory, now);
  }
  const auto change = folder_.begin_change();
  if (!change) return std::unexpected(change.error());
  return certs::purge(folder_, now);
}

Result<AuditChain> CertificateStore::audit() const {
  return read_audit_log(folder_.audit_path());
}

Result<Inventory> CertificateStore::list() const {
  return read_inventory(folder_);
}

Result<ActiveFile::Choice> CertificateStore::find(std::string_view id,
                                                  const ActiveFile& active) const {
  const auto facts = show(id);
  if (facts) {
    return ActiveFile::Choice{.key_name = facts->key_name, .certificate_id = facts->id};
  }
  const std::string digits = plain_digits(id);
  if (facts.error().code != ErrorCode::NotFound || digits.size() < kShortIdLength) {
    return std::unexpected(facts.error());
  }
  const auto lost = std::ranges::find_if(active.choices, [&](const ActiveFile::Choice& choice) {
    return choice.certificate_id.starts_with(digits);
  });
  if (lost == active.choices.end()) return std::unexpected(facts.error());
  return *lost;
}

Result<CertificateFacts> CertificateStore::show(std::string_view id) const {
  const auto inventory = list();
  if (!inventory) return std::unexpected(inventory.error());
  const CertificateFacts* found = nullptr;
  const std::string digits = plain_digits(id);
  for (const KeyFacts& key : inventory->keys) {
    for (const CertificateFacts& facts : key.certificates) {
      if (digits.size() < kShortIdLength) continue;
      if (!facts.id.starts_with(digits) && !facts.sha1.starts_with(digits)) continue;
      if (found != nullptr) {
        return fail(ErrorCode::InvalidArgument,
                    "more than one certificate begins with these digits");
      }
      found = &facts;
    }
  }
  if (found == nullptr) {
    return fail(ErrorCode::NotFound,
                "no certificate has this thumbprint (SHA-256 or SHA-1; the first 8 digits are "
                "enough)");
  }
  return *found;
}

Result<ActiveState> CertificateStore::load_active() const {
  const auto active = folder_.read_active();
  if (!active) return std::unexpected(active.error());
  ActiveState state{.disabled = active->disabled, .reason = {}, .certificates = {}, .damaged = {}};
  if (active->disabled) {
    state.reason = active->reason;
    return state;
  }
  for (const ActiveFile::Choice& choice : active->choices) {
    auto certificate = load(choice);
    if (certificate) {
      state.certificates.push_back(std::move(*certificate));
    } else {
      state.damaged.push_back({.choice = choice, .error = certificate.error()});
    }
  }
  return state;
}

Result<ServingCertificate> CertificateStore::load(const ActiveFile::Choice& choice) const {
  const std::string path = folder_.chain_path(choice.key_name, choice.certificate_id);
  const auto text = base::read_file(path, kChainFileLimit);
  if (!text) return fail(ErrorCode::DataLoss, text.error().message);
  auto chain = crypto::parse_certificates(*text);
  if (!chain) return fail(ErrorCode::DataLoss, path + ": " + chain.error().message);
  auto key = crypto::PrivateKey::load(folder_.key_path(choice.key_name));
  if (!key) return std::unexpected(key.error());
  if (chain->front().sha256_hex() != choice.certificate_id || !chain->front().matches(*key)) {
    return fail(ErrorCode::DataLoss, path + " is not the certificate that it should be");
  }
  return ServingCertificate{
      .key = std::move(*key), .chain = std::move(*chain), .chain_pem = *text, .choice = choice};
}

}  // namespace larder::certs
