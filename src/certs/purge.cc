#include "certs/purge.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "base/log.h"
#include "certs/audit_log.h"
#include "crypto/digest.h"
#include "crypto/key.h"

namespace larder::certs {

using base::Json;
using base::Result;
using base::Status;

namespace {

Status remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return base::fail_errno("cannot delete " + path, errno);
}

Json describe(const CertificateFacts& facts) {
  Json history = Json::array();
  for (const Record::Entry& entry : facts.history) {
    history.push_back({{"event", name(entry.event)},
                       {"at", base::to_rfc3339(entry.at)},
                       {"reason", entry.reason}});
  }
  return {{"key", facts.key_name},
          {"certificate", facts.id},
          {"sha1", facts.sha1},
          {"serial", facts.serial},
          {"subject", facts.subject},
          {"issuer", facts.issuer},
          {"dns_names", facts.dns_names},
          {"addresses", facts.addresses},
          {"not_before", base::to_rfc3339(facts.not_before)},
          {"not_after", base::to_rfc3339(facts.not_after)},
          {"history", std::move(history)}};
}

Status write_down(const CertificateFolder& folder, std::string_view event, const Json& subject,
                  base::WallTime now) {
  const auto digest = append_audit_entry(folder.audit_path(), event, subject, now);
  if (!digest) return std::unexpected(digest.error());
  base::log_info(event, {{"key", subject.value("key", "")},
                         {"certificate", subject.value("certificate", "")},
                         {"audit", *digest}});
  return {};
}

Status remove_folder(const CertificateFolder& folder, const std::string& key_name) {
  std::error_code error;
  std::filesystem::remove_all(folder.key_folder(key_name), error);
  if (!error) return {};
  return base::fail(base::ErrorCode::Internal, key_name + ": " + error.message());
}

// What a crash has left of writes (base::write_file_atomically names it so), keys among them. One
// that goes on now is younger.
Status remove_temporary_files(const std::string& path) {
  const auto before = std::filesystem::file_time_type::clock::now() - std::chrono::hours(24);
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    if (!entry->is_regular_file(gone) || !entry->path().filename().string().contains(".new-") ||
        entry->last_write_time(gone) > before || gone) {
      continue;
    }
    LARDER_TRY(remove_file(entry->path()));
  }
  return {};
}

// Certificates and names of keys whose purge was written down.
Result<std::set<std::string>> read_purged(const CertificateFolder& folder) {
  const auto chain = read_audit_log(folder.audit_path());
  if (!chain) return std::unexpected(chain.error());
  std::set<std::string> purged;
  for (const AuditEntry& entry : chain->entries) {
    const auto subject = base::parse_json(entry.subject);
    if (!subject) continue;
    const char* const member = entry.event == "key-purged" ? "key" : "certificate";
    if (auto named = base::json_string(*subject, member)) purged.insert(std::move(*named));
  }
  return purged;
}

// What a crash has left of a purge: records of certificates that are gone, and folders without a
// key. What was lost in another way stays: its record says whether it was revoked.
Status remove_leftovers(const CertificateFolder& folder, const std::string& key_name) {
  const std::vector<std::string> ids = folder.certificate_ids(key_name);
  std::vector<std::string> records = folder.record_ids(key_name);
  std::erase_if(records, [&](const auto& id) { return std::ranges::find(ids, id) != ids.end(); });
  const bool lacks_key = ids.empty() && !file_exists(folder.key_path(key_name)) &&
                         !file_exists(folder.request_path(key_name));
  if (records.empty() && !lacks_key) return {};
  const auto purged = read_purged(folder);
  if (!purged) return std::unexpected(purged.error());
  for (const std::string& id : records) {
    if (purged->contains(id)) LARDER_TRY(remove_file(folder.record_path(key_name, id)));
  }
  if (!lacks_key || !purged->contains(key_name)) return {};
  return remove_folder(folder, key_name);
}

// The key before its last certificate: as long as that is there, the next purge knows what to do.
Status purge_key(const CertificateFolder& folder, const std::string& key_name, base::WallTime now) {
  const std::string path = folder.key_path(key_name);
  if (file_exists(path)) {
    const auto key = crypto::PrivateKey::load(path);
    const auto spki =
        key ? key->public_key().to_spki_der() : Result<std::string>(std::unexpected(key.error()));
    LARDER_TRY(write_down(
        folder, "key-purged",
        {{"key", key_name}, {"public_key_sha256", spki ? crypto::sha256_hex(*spki) : ""}}, now));
    LARDER_TRY(remove_file(path));
  }
  return remove_file(folder.request_path(key_name));
}

Status purge_one(const CertificateFolder& folder, const Purge& purge, ActiveFile& active,
                 base::WallTime now) {
  const auto facts = read_facts(folder, purge.key_name, purge.id, active);
  if (!facts) return std::unexpected(facts.error());
  LARDER_TRY(write_down(folder, "certificate-purged", describe(*facts), now));
  // One that is disabled is chosen still.
  if (std::erase_if(active.choices, [&](const ActiveFile::Choice& choice) {
        return choice.certificate_id == purge.id;
      }) > 0) {
    active.changed_at = now;
    active.reason = "purge of " + purge.id;
    LARDER_TRY(folder.commit(active));
  }
  if (purge.with_key) LARDER_TRY(purge_key(folder, purge.key_name, now));
  LARDER_TRY(remove_file(folder.chain_path(purge.key_name, purge.id)));
  LARDER_TRY(remove_file(folder.record_path(purge.key_name, purge.id)));
  return purge.with_key ? remove_folder(folder, purge.key_name) : Status();
}

}  // namespace

Result<std::vector<Purge>> purge(const CertificateFolder& folder, base::WallTime now) {
  auto active = folder.read_active();
  if (!active) return std::unexpected(active.error());
  const auto inventory = read_inventory(folder);
  if (!inventory) return std::unexpected(inventory.error());
  LARDER_TRY(remove_temporary_files(folder.path()));
  for (const KeyFacts& key : inventory->keys) {
    LARDER_TRY(remove_temporary_files(folder.key_folder(key.name)));
    LARDER_TRY(remove_leftovers(folder, key.name));
  }
  std::vector<Purge> due = plan_purges(*inventory, now);
  for (const Purge& each : due) LARDER_TRY(purge_one(folder, each, *active, now));
  return due;
}

}  // namespace larder::certs
