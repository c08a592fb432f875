#include "authority/ledger.h"

#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "crypto/jws.h"

namespace larder::authority {
namespace {

// Each field with its length in front, so that no two entries have the same bytes.
void add_field(crypto::Sha256& digest, std::string_view field) {
  digest.update(std::to_string(field.size()) + ":");
  digest.update(field);
}

std::string hash_of(const LedgerEntry& entry) {
  crypto::Sha256 digest;
  add_field(digest, "larder-ledger-1");
  add_field(digest, std::to_string(entry.sequence));
  add_field(digest, std::to_string(entry.at));
  add_field(digest, entry.event);
  add_field(digest, entry.certificate);
  add_field(digest, entry.detail);
  add_field(digest, entry.previous);
  return base::to_hex(digest.finish());
}

}  // namespace

LedgerEntry next_entry(const std::optional<LedgerEntry>& last, base::WallTime at, std::string event,
                       std::string certificate, std::string detail) {
  LedgerEntry entry;
  entry.sequence = last ? last->sequence + 1 : 1;
  entry.at = base::to_unix_seconds(at);
  entry.event = std::move(event);
  entry.certificate = std::move(certificate);
  entry.detail = std::move(detail);
  entry.previous = last ? last->hash : std::string(kLedgerStart);
  entry.hash = hash_of(entry);
  return entry;
}

base::Status LedgerVerifier::add(const LedgerEntry& entry) {
  if (entry.sequence != sequence_ + 1 || entry.previous != head_ || entry.hash != hash_of(entry)) {
    return base::fail(base::ErrorCode::DataLoss,
                      "the ledger is broken at entry " + std::to_string(sequence_ + 1) +
                          ": it was changed, or one before it is missing");
  }
  sequence_ = entry.sequence;
  head_ = entry.hash;
  return {};
}

base::Result<std::string> sign_head(const LedgerHead& head, const crypto::PrivateKey& key) {
  const auto thumbprint = key.public_key().thumbprint();
  if (!thumbprint) return std::unexpected(thumbprint.error());
  const nlohmann::json payload{{"sequence", head.sequence}, {"hash", head.hash}, {"at", head.at}};
  crypto::JwsHeader header;
  header.type = kLedgerHeadType;
  header.key_id = *thumbprint;
  return crypto::sign_jws(header, payload.dump(), key);
}

base::Result<LedgerHead> verify_head(std::string_view text, const crypto::PublicKey& key) {
  crypto::JwsRules rules;
  rules.type = kLedgerHeadType;
  const auto jws = crypto::parse_jws(text, rules);
  if (!jws) return std::unexpected(jws.error());
  LARDER_TRY(crypto::verify_jws(*jws, key));
  const auto payload = base::parse_json(jws->payload);
  if (!payload) return std::unexpected(payload.error());
  const auto sequence = base::json_integer(*payload, "sequence");
  if (!sequence) return std::unexpected(sequence.error());
  const auto hash = base::json_string(*payload, "hash");
  if (!hash) return std::unexpected(hash.error());
  const auto at = base::json_integer(*payload, "at");
  if (!at) return std::unexpected(at.error());
  return LedgerHead{*sequence, *hash, *at};
}

}  // namespace larder::authority
