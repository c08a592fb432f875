// What must be provable after the files are gone: one line of JSON for each event, each with the
// SHA-256 of the line before it, so that no line can be changed or taken out of the middle unseen.
// Who owns the file can still cut its end or write all of it anew; the latest digest therefore
// stands in the event log as well, which leaves the machine.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace larder::certs {

struct AuditEntry {
  std::uint64_t sequence = 0;  // from 1 on
  base::WallTime at;
  std::string event;    // "certificate-purged", "key-purged"
  std::string subject;  // what it is about, as JSON
  std::string digest;   // of the line, hexadecimal
};

struct AuditChain {
  std::vector<AuditEntry> entries;
  // Empty when every line is as it was written; else the first that is not, and why.
  std::string damage;
};

// Without the file: no entries. An end without a newline was cut by a crash, before what it
// announces was begun, and is passed over.
base::Result<AuditChain> read_audit_log(const std::string& path);

// Synced when it returns; gives the digest of the new line. Under the lock of the folder. DataLoss
// when the chain is damaged: nothing is added then that would hide it.
base::Result<std::string> append_audit_entry(const std::string& path, std::string_view event,
                                             const nlohmann::json& subject, base::WallTime now);

}  // namespace larder::certs
