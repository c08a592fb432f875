#include "certs/inventory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "crypto/certificate.h"
#include "crypto/request.h"

namespace larder::certs {

using base::Result;

std::string_view name(CertificateState state) {
  switch (state) {
    case CertificateState::Active:
      return "active";
    case CertificateState::Disabled:
      return "disabled";
    case CertificateState::Inactive:
      return "inactive";
    case CertificateState::Retired:
      return "retired";
    case CertificateState::Unknown:
      break;
  }
  return "unknown";
}

Result<CertificateFacts> read_facts(const CertificateFolder& folder, const std::string& key_name,
                                    const std::string& id, const ActiveFile& active) {
  const std::string path = folder.chain_path(key_name, id);
  const auto text = base::read_file(path, kChainFileLimit);
  if (!text) return std::unexpected(text.error());
  const auto chain = crypto::parse_certificates(*text);
  if (!chain) return base::with_context(path, chain.error());
  const crypto::Certificate& leaf = chain->front();
  const crypto::AlternativeNames names = leaf.alternative_names();
  CertificateFacts facts{.key_name = key_name,
                         .path = path,
                         .id = id,
                         .sha1 = leaf.sha1_hex(),
                         .subject = leaf.subject(),
                         .issuer = leaf.issuer(),
                         .serial = leaf.serial_hex(),
                         .dns_names = names.dns,
                         .addresses = names.addresses,
                         .key_description = {},
                         .not_before = leaf.not_before(),
                         .not_after = leaf.not_after(),
                         .history = {}};
  if (const auto key = leaf.public_key()) facts.key_description = key->description();
  bool is_put_away = false;
  if (auto record = folder.read_record(key_name, id)) {
    is_put_away = record->is_put_away();
    facts.history = std::move(record->history);
  }
  if (const ActiveFile::Choice* choice = active.find(id)) {
    facts.state = active.disabled ? CertificateState::Disabled : CertificateState::Active;
    facts.proven = choice->proven;
  } else if (is_put_away) {
    facts.state = CertificateState::Retired;
  }
  return facts;
}

namespace {

Result<Inventory> read_all(const CertificateFolder& folder, const ActiveFile& active) {
  const auto names = folder.key_names();
  if (!names) return std::unexpected(names.error());
  Inventory inventory{.disabled = active.disabled, .keys = {}, .damaged = {}};
  for (const std::string& key_name : *names) {
    KeyFacts key{.name = key_name, .request_path = {}, .request_subject = {}, .certificates = {}};
    const std::string key_folder = folder.key_folder(key_name);
    if (::access(key_folder.c_str(), R_OK | X_OK) != 0) {
      key.has_damage = true;
      inventory.damaged.push_back(base::fail_errno(key_folder, errno).error().message);
    }
    const std::string request_path = folder.request_path(key_name);
    if (const auto text = base::read_file(request_path, kSmallFileLimit)) {
      key.request_path = request_path;
      const auto request = crypto::CertificateRequest::from_pem(*text);
      if (request) {
        key.request_subject = request->subject();
      } else {
        inventory.damaged.push_back(request_path + ": " + request.error().message);
      }
    }
    for (const std::string& id : folder.certificate_ids(key_name)) {
      auto facts = read_facts(folder, key_name, id, active);
      if (facts) {
        key.certificates.push_back(std::move(*facts));
      } else {
        key.has_damage = true;
        inventory.damaged.push_back(facts.error().message);
      }
    }
    std::ranges::sort(key.certificates, [](const auto& a, const auto& b) {
      const auto imported = [](const CertificateFacts& facts) {
        return facts.history.empty() ? base::WallTime{} : facts.history.front().at;
      };
      return imported(a) != imported(b) ? imported(a) > imported(b) : a.id < b.id;
    });
    inventory.keys.push_back(std::move(key));
  }
  return inventory;
}

}  // namespace

Result<Inventory> read_inventory(const CertificateFolder& folder) {
  const auto active = folder.read_active();
  if (!active) return std::unexpected(active.error());
  return read_all(folder, *active);
}

Result<Inventory> read_inventory_without_choice(const CertificateFolder& folder) {
  auto inventory = read_all(folder, {});
  if (!inventory) return inventory;
  for (KeyFacts& key : inventory->keys) {
    for (CertificateFacts& facts : key.certificates) {
      if (facts.state == CertificateState::Inactive) facts.state = CertificateState::Unknown;
    }
  }
  return inventory;
}

const CertificateFacts* last_imported(const Inventory& inventory) {
  const CertificateFacts* latest = nullptr;
  base::WallTime latest_at{};
  for (const KeyFacts& key : inventory.keys) {
    for (const CertificateFacts& facts : key.certificates) {
      if (facts.state != CertificateState::Active && facts.state != CertificateState::Disabled) {
        continue;
      }
      base::WallTime imported{};
      for (const Record::Entry& entry : facts.history) {
        if (entry.event == Record::Event::Imported) imported = entry.at;
      }
      if (latest != nullptr && imported <= latest_at) continue;
      latest = &facts;
      latest_at = imported;
    }
  }
  return latest;
}

}  // namespace larder::certs
