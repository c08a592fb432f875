// What a host's certificate folder holds, for people and for the site.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "certs/certificate_folder.h"
#include "certs/state_files.h"

namespace larder::certs {

enum class CertificateState {
  Active,    // served
  Disabled,  // would be served, but HTTPS is disabled
  Inactive,  // imported; not served (any more)
  Retired,   // put away by the administrator
  Unknown,   // what is served cannot be read
};
std::string_view name(CertificateState state);  // "active"

struct CertificateFacts {
  std::string key_name;
  std::string path;  // of the chain
  std::string id;    // SHA-256, hex
  std::string sha1;
  CertificateState state = CertificateState::Inactive;
  bool proven = false;  // only while Active or Disabled
  std::string subject;
  std::string issuer;
  std::string serial;
  std::vector<std::string> dns_names;
  std::vector<std::string> addresses;
  std::string key_description;  // "EC P-256"
  base::WallTime not_before;
  base::WallTime not_after;
  std::vector<Record::Entry> history;
};

struct KeyFacts {
  std::string name;
  std::string request_path;  // empty when there is none
  std::string request_subject;
  std::vector<CertificateFacts> certificates;  // latest import first
  bool has_damage = false;                     // a certificate of it cannot be read
};

struct Inventory {
  bool disabled = false;
  std::vector<KeyFacts> keys;        // by name
  std::vector<std::string> damaged;  // "path: why": files that cannot be read
};

// Everything in the folder. A file that cannot be read is listed as damaged, the rest stays
// visible.
base::Result<Inventory> read_inventory(const CertificateFolder& folder);

// The same without active.json, for when that cannot be read: for people to look at, never to
// decide by. Nothing is Active, Disabled or Inactive.
base::Result<Inventory> read_inventory_without_choice(const CertificateFolder& folder);

// Of those that are served, or would be, the one that was imported last; null when there is none.
const CertificateFacts* last_imported(const Inventory& inventory);

// One certificate. `active` says which ones are served.
base::Result<CertificateFacts> read_facts(const CertificateFolder& folder,
                                          const std::string& key_name, const std::string& id,
                                          const ActiveFile& active);

}  // namespace larder::certs
