// Certificates of a host as JSON, for tables and for --json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "certs/certificate_store.h"
#include "certs/inventory.h"

namespace larder::cli {

nlohmann::json facts_of(const certs::CertificateFacts& certificate, base::WallTime now);
// {"disabled", "certificates": [...], "requests": [{"name", "request", "subject"}], "damaged"}
nlohmann::json facts_of(const certs::Inventory& inventory, base::WallTime now);
nlohmann::json facts_of(const certs::ImportOutcome& outcome);

// What `larder cert import` returns for the first check that failed; scripts rely on it.
int exit_code(certs::Check::Kind failed);
// The same with its meaning, for the manual.
std::vector<std::pair<int, std::string>> check_exit_codes();

// For the table that people read: the state says of what is served when no handshake proved it.
nlohmann::json rows_of(nlohmann::json certificates);
// The sentence that HTTPS is disabled, and what serves it again.
std::string describe_disabled(const certs::Inventory& inventory);
// The sentence that there are certificates and none is served, though nobody disabled HTTPS; else
// empty. It says how to serve one again, by rollback only when there is one to go back to.
std::string describe_missing(const certs::Inventory& inventory, base::WallTime now);

// "in effect", "would be in effect", ...: the sentence after an import.
std::string describe_import(const certs::ImportOutcome& outcome, bool dry_run);

}  // namespace larder::cli
