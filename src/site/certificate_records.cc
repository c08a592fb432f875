#include "site/certificate_records.h"

#include <nlohmann/json.hpp>

namespace larder::site {
namespace {

using base::to_unix_seconds;

constexpr std::int64_t kLedgerPage = 1000;

authority::LedgerEntry ledger_entry(const db::Row& row) {
  return {row.integer(0), row.integer(1), row.text(2), row.text(3),
          row.text(4),    row.text(5),    row.text(6)};
}

constexpr const char* kLedgerColumns =
    "SELECT seq, at, event, certificate, detail, previous, hash FROM ledger ";

base::Result<std::optional<authority::LedgerEntry>> last_entry(db::Session& session) {
  const auto rows = session.query(std::string(kLedgerColumns) + "ORDER BY seq DESC LIMIT 1");
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return std::nullopt;
  return ledger_entry(rows->front());
}

base::Status append(db::Session& session, base::WallTime now, std::string event,
                    std::string certificate, std::string detail) {
  const auto last = last_entry(session);
  if (!last) return std::unexpected(last.error());
  const authority::LedgerEntry entry = authority::next_entry(
      *last, now, std::move(event), std::move(certificate), std::move(detail));
  LARDER_TRY(session.execute(
      "INSERT INTO ledger (seq, at, event, certificate, detail, previous, hash) VALUES (:seq, :at, "
      ":event, :certificate, :detail, :previous, :hash)",
      {entry.sequence, entry.at, entry.event, entry.certificate, entry.detail, entry.previous,
       entry.hash}));
  return {};
}

base::Result<bool> has_certificate(db::Session& session, const std::string& owner,
                                   std::string_view kind) {
  const auto rows =
      session.query("SELECT 1 FROM certificates WHERE owner = :owner AND kind = :kind LIMIT 1",
                    {owner, std::string(kind)});
  if (!rows) return std::unexpected(rows.error());
  return !rows->empty();
}

}  // namespace

base::Status CertificateRecords::record(const authority::IssuedCertificate& issued) {
  const std::string kind(authority::name(issued.grant.kind));
  const std::string sha256 = issued.certificate.sha256_hex();
  const nlohmann::json detail{{"kind", kind},
                              {"owner", issued.grant.owner},
                              {"serial", issued.certificate.serial_hex()},
                              {"issuer", issued.issuer},
                              {"key", issued.key_id},
                              {"dns_names", issued.grant.names.dns},
                              {"addresses", issued.grant.names.addresses},
                              {"not_after", base::to_rfc3339(issued.certificate.not_after())}};
  return database_.write([&, detail = detail.dump()](db::Session& session) -> base::Status {
    const auto renewal = has_certificate(session, issued.grant.owner, kind);
    if (!renewal) return std::unexpected(renewal.error());
    LARDER_TRY(session.execute(
        "INSERT INTO certificates (sha256, serial, kind, owner, key_id, issuer, not_before, "
        "not_after, issued_at, revoked_at) VALUES (:sha256, :serial, :kind, :owner, :key_id, "
        ":issuer, :not_before, :not_after, :issued_at, 0)",
        {sha256, issued.certificate.serial_hex(), kind, issued.grant.owner, issued.key_id,
         issued.issuer, to_unix_seconds(issued.certificate.not_before()),
         to_unix_seconds(issued.certificate.not_after()), to_unix_seconds(issued.issued_at)}));
    return append(session, issued.issued_at, *renewal ? "renewed" : "issued", sha256, detail);
  });
}

base::Result<std::vector<CertificateRow>> CertificateRecords::current(base::WallTime now) const {
  const auto rows = database_.read([&](db::Session& session) {
    return session.query(
        "SELECT sha256, serial, kind, owner, issuer, not_before, not_after, issued_at, revoked_at "
        "FROM certificates WHERE not_after > :now ORDER BY issued_at DESC, sha256 LIMIT 10000",
        {to_unix_seconds(now)});
  });
  if (!rows) return std::unexpected(rows.error());
  std::vector<CertificateRow> found;
  for (const db::Row& row : *rows) {
    found.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.text(4),
                     row.integer(5), row.integer(6), row.integer(7), row.integer(8)});
  }
  return found;
}

base::Result<std::int64_t> CertificateRecords::issued_since(const std::string& owner,
                                                            authority::CertificateKind kind,
                                                            base::WallTime since) const {
  const auto rows = database_.read([&](db::Session& session) {
    return session.query(
        "SELECT COUNT(*) FROM certificates WHERE owner = :owner AND kind = :kind AND issued_at > "
        ":since",
        {owner, std::string(authority::name(kind)), to_unix_seconds(since)});
  });
  if (!rows) return std::unexpected(rows.error());
  return rows->front().integer(0);
}

base::Result<std::map<std::string, std::vector<crypto::RevokedCertificate>>>
CertificateRecords::revoked(base::WallTime now) const {
  const auto rows = database_.read([&](db::Session& session) {
    return session.query(
        "SELECT issuer, serial, revoked_at FROM certificates WHERE revoked_at > 0 AND not_after > "
        ":now",
        {to_unix_seconds(now)});
  });
  if (!rows) return std::unexpected(rows.error());
  std::map<std::string, std::vector<crypto::RevokedCertificate>> lists;
  for (const db::Row& row : *rows) {
    lists[row.text(0)].push_back({row.text(1), base::from_unix_seconds(row.integer(2)),
                                  crypto::RevocationReason::Superseded});
  }
  return lists;
}

base::Result<std::int64_t> CertificateRecords::verify_ledger(
    const crypto::PublicKey& ledger_key) const {
  return database_.read([&](db::Session& session) -> base::Result<std::int64_t> {
    const auto heads = session.query("SELECT seq, head FROM ledger_heads ORDER BY seq");
    if (!heads) return std::unexpected(heads.error());
    std::map<std::int64_t, std::string> signed_hashes;
    for (const db::Row& row : *heads) {
      const auto head = authority::verify_head(row.text(1), ledger_key);
      if (!head) return base::with_context("a signed head of the ledger", head.error());
      signed_hashes[head->sequence] = head->hash;
    }
    authority::LedgerVerifier verifier;
    for (;;) {
      const auto rows =
          session.query(std::string(kLedgerColumns) + "WHERE seq > :after ORDER BY seq LIMIT 1000",
                        {verifier.sequence()});
      if (!rows) return std::unexpected(rows.error());
      for (const db::Row& row : *rows) {
        LARDER_TRY(verifier.add(ledger_entry(row)));
        const auto head = signed_hashes.find(verifier.sequence());
        if (head != signed_hashes.end() && head->second != verifier.head()) {
          return base::fail(base::ErrorCode::DataLoss,
                            "entry " + std::to_string(verifier.sequence()) +
                                " of the ledger is not the one that was signed");
        }
      }
      if (static_cast<std::int64_t>(rows->size()) < kLedgerPage) break;
    }
    if (!signed_hashes.empty() && signed_hashes.rbegin()->first > verifier.sequence()) {
      return base::fail(base::ErrorCode::DataLoss, "the ledger is shorter than its signed head");
    }
    return verifier.sequence();
  });
}

base::Status CertificateRecords::sign_head(const crypto::PrivateKey& ledger_key,
                                           base::WallTime now) {
  return database_.write([&](db::Session& session) -> base::Status {
    const auto last = last_entry(session);
    if (!last) return std::unexpected(last.error());
    if (!*last) return {};
    const auto known =
        session.query("SELECT 1 FROM ledger_heads WHERE seq = :seq", {(*last)->sequence});
    if (!known) return std::unexpected(known.error());
    if (!known->empty()) return {};
    const auto head =
        authority::sign_head({(*last)->sequence, (*last)->hash, to_unix_seconds(now)}, ledger_key);
    if (!head) return std::unexpected(head.error());
    LARDER_TRY(session.execute("INSERT INTO ledger_heads (seq, head) VALUES (:seq, :head)",
                               {(*last)->sequence, *head}));
    return {};
  });
}

base::Result<std::vector<std::string>> revoke_certificates(db::Session& session,
                                                           const std::string& owner,
                                                           authority::CertificateKind kind,
                                                           std::string_view reason,
                                                           base::WallTime now) {
  const auto rows = session.query(
      "SELECT sha256 FROM certificates WHERE owner = :owner AND kind = :kind AND revoked_at = 0 "
      "AND not_after > :now",
      {owner, std::string(authority::name(kind)), to_unix_seconds(now)});
  if (!rows) return std::unexpected(rows.error());
  std::vector<std::string> revoked;
  for (const db::Row& row : *rows) {
    LARDER_TRY(session.execute("UPDATE certificates SET revoked_at = :now WHERE sha256 = :sha256",
                               {to_unix_seconds(now), row.text(0)}));
    LARDER_TRY(append(session, now, "revoked", row.text(0),
                      nlohmann::json{{"owner", owner}, {"reason", reason}}.dump()));
    revoked.push_back(row.text(0));
  }
  return revoked;
}

}  // namespace larder::site
