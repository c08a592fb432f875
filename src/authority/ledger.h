// The ledger of issues, renewals and revocations: each entry carries the hash of the one before it,
// so that an entry cannot be changed, removed or put in between without every later hash changing.
// A chain alone does not bind whoever owns the database: signed heads, kept elsewhere, do.
//
// Pure; where the entries are stored is the caller's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/key.h"

namespace larder::authority {

struct LedgerEntry {
  std::int64_t sequence = 0;  // from 1, without gaps
  std::int64_t at = 0;        // seconds since 1970
  std::string event;          // "issued", "renewed", "revoked"
  std::string certificate;    // hexadecimal SHA-256 of its DER
  std::string detail;         // JSON text for people
  std::string previous;       // hash of the entry before; 64 zeros for the first
  std::string hash;           // over all of the above
};

inline constexpr std::string_view kLedgerStart =
    "0000000000000000000000000000000000000000000000000000000000000000";

// The entry that follows `last`.
LedgerEntry next_entry(const std::optional<LedgerEntry>& last, base::WallTime at, std::string event,
                       std::string certificate, std::string detail);

// Reads a ledger from its beginning, entry by entry. DataLoss names the first entry that is wrong.
class LedgerVerifier {
 public:
  base::Status add(const LedgerEntry& entry);
  std::int64_t sequence() const { return sequence_; }
  const std::string& head() const { return head_; }

 private:
  std::int64_t sequence_ = 0;
  std::string head_{kLedgerStart};
};

struct LedgerHead {
  std::int64_t sequence = 0;
  std::string hash;
  std::int64_t at = 0;
};

inline constexpr std::string_view kLedgerHeadType = "larder-ledger-head+jwt";

// A JWS (ES256) by the ledger key.
base::Result<std::string> sign_head(const LedgerHead& head, const crypto::PrivateKey& key);
base::Result<LedgerHead> verify_head(std::string_view text, const crypto::PublicKey& key);

}  // namespace larder::authority
