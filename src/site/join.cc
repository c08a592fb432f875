#include "site/join.h"

#include <array>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "client/bootstrap.h"
#include "content/manifest.h"
#include "crypto/digest.h"

namespace larder::site {
namespace {

using base::ErrorCode;
using base::to_unix_seconds;

constexpr std::int64_t kOpenTokenLimit = 1000;
// A node renews its role certificate every 60 days; what asks far more often is broken or hostile.
constexpr std::int64_t kRoleCertificatesPerHour = 30;
constexpr std::int64_t kIdentitiesPerHour = 10;  // renewed every eight months

std::string as_json(const std::vector<std::string>& list) {
  return nlohmann::json(list).dump();
}

base::Result<std::vector<std::string>> from_json(const std::string& text) {
  const auto parsed = base::parse_json(text);
  if (!parsed) return std::unexpected(parsed.error());
  std::vector<std::string> list;
  for (const auto& item : *parsed) list.push_back(item.get<std::string>());
  return list;
}

struct JoinToken {
  std::string id;
  std::string node_name;
  crypto::AlternativeNames names;
  std::int64_t expires_at = 0;
  std::string spent_by;  // key id; empty: nobody yet
};

base::Result<std::optional<JoinToken>> find_token(db::Session& session, const std::string& hash) {
  const auto rows = session.query(
      "SELECT id, node, names, addresses, expires_at, spent_by FROM join_tokens WHERE secret_hash "
      "= :hash",
      {hash});
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return std::nullopt;
  const db::Row& row = rows->front();
  auto names = from_json(row.text(2));
  if (!names) return std::unexpected(names.error());
  auto addresses = from_json(row.text(3));
  if (!addresses) return std::unexpected(addresses.error());
  JoinToken token{row.text(0), row.text(1), {}, row.integer(4), row.text(5)};
  token.names.dns = std::move(*names);
  token.names.addresses = std::move(*addresses);
  return token;
}

// AlreadyExists when a node other than `node_name` has one of the names.
base::Status check_unique(db::Session& session, const std::string& node_name,
                          const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto rows = session.query(
        "SELECT nodes.name FROM node_names JOIN nodes ON nodes.id = node_names.node WHERE "
        "node_names.name = :name AND nodes.name <> :node",
        {name, node_name});
    if (!rows) return std::unexpected(rows.error());
    if (!rows->empty()) {
      return base::fail(ErrorCode::AlreadyExists,
                        name + " belongs to the node " + rows->front().text(0));
    }
  }
  return {};
}

// The node of that name, new or known, with the names of the token.
base::Result<Node> store_node(db::Session& session, const JoinToken& token, base::WallTime now) {
  const auto rows =
      session.query("SELECT id, joined_at FROM nodes WHERE name = :name", {token.node_name});
  if (!rows) return std::unexpected(rows.error());
  Node node;
  node.name = token.node_name;
  node.names = token.names;
  if (rows->empty()) {
    node.id = base::make_uuid(now);
    node.joined_at = to_unix_seconds(now);
    LARDER_TRY(session.execute(
        "INSERT INTO nodes (id, name, names, addresses, joined_at) VALUES (:id, :name, :names, "
        ":addresses, :joined_at)",
        {node.id, node.name, as_json(node.names.dns), as_json(node.names.addresses),
         node.joined_at}));
  } else {
    node.id = rows->front().text(0);
    node.joined_at = rows->front().integer(1);
    LARDER_TRY(
        session.execute("UPDATE nodes SET names = :names, addresses = :addresses WHERE id = :id",
                        {as_json(node.names.dns), as_json(node.names.addresses), node.id}));
    LARDER_TRY(session.execute("DELETE FROM node_names WHERE node = :id", {node.id}));
  }
  LARDER_TRY(check_unique(session, node.name, node.names.dns));
  for (const std::string& name : node.names.dns) {
    LARDER_TRY(session.execute("INSERT INTO node_names (name, node) VALUES (:name, :node)",
                               {name, node.id}));
  }
  return node;
}

// The right of a join token's holder to one identity for one key.
class JoinAuthorisation final : public authority::Authorisation {
 public:
  JoinAuthorisation(State& state, std::string hash) : state_(state), hash_(std::move(hash)) {}

  base::Result<authority::Grant> verify(const crypto::PublicKey& key, base::WallTime now) override {
    const auto key_id = authority::key_id(key);
    if (!key_id) return std::unexpected(key_id.error());
    const auto token =
        state_.database->read([&](db::Session& session) { return find_token(session, hash_); });
    if (!token) return std::unexpected(token.error());
    LARDER_TRY(check(*token, *key_id, now));
    authority::Grant grant;
    grant.kind = authority::CertificateKind::Identity;
    grant.names = (*token)->names;
    return grant;
  }

  // Looks again inside the writer's transaction: of two at once the second finds it spent.
  base::Status spend(const crypto::PublicKey& key, base::WallTime now) override {
    const auto key_id = authority::key_id(key);
    if (!key_id) return std::unexpected(key_id.error());
    return state_.change(
        {"join token", "node.join", hash_.substr(0, 12), ""},
        [&](db::Session& session) -> base::Status {
          const auto token = find_token(session, hash_);
          if (!token) return std::unexpected(token.error());
          LARDER_TRY(check(*token, *key_id, now));
          LARDER_TRY(session.execute("UPDATE join_tokens SET spent_by = :key WHERE id = :id",
                                     {*key_id, (*token)->id}));
          auto node = store_node(session, **token, now);
          if (!node) return std::unexpected(node.error());
          auto revoked =
              revoke_certificates(session, node->id, authority::CertificateKind::Identity,
                                  "the node joined again", now);
          if (!revoked) return std::unexpected(revoked.error());
          revoked_ = std::move(*revoked);
          node_ = std::move(*node);
          return {};
        },
        "join");
  }

  const Node& node() const { return node_; }
  const std::vector<std::string>& revoked() const { return revoked_; }

 private:
  base::Status check(const std::optional<JoinToken>& token, const std::string& key_id,
                     base::WallTime now) const {
    if (!token) return base::fail(ErrorCode::Unauthenticated, "no such join token");
    if (token->expires_at <= to_unix_seconds(now)) {
      return base::fail(ErrorCode::Unauthenticated, "the join token has expired");
    }
    // The same key again: the answer to the first try was lost.
    if (!token->spent_by.empty() && token->spent_by != key_id) {
      base::log_warning("a spent join token was shown again with another key",
                        {{"token", token->id}, {"node", token->node_name}});
      return base::fail(ErrorCode::PermissionDenied, "the join token is spent by another key");
    }
    return {};
  }

  State& state_;
  const std::string hash_;
  Node node_;
  std::vector<std::string> revoked_;
};

// The owner of an identity is known only once the token is spent.
class JoinRecords final : public authority::IssueRecords {
 public:
  JoinRecords(CertificateRecords& records, const JoinAuthorisation& authorisation)
      : records_(records), authorisation_(authorisation) {}
  base::Status record(const authority::IssuedCertificate& issued) override {
    authority::IssuedCertificate owned = issued;
    owned.grant.owner = authorisation_.node().id;
    return records_.record(owned);
  }

 private:
  CertificateRecords& records_;
  const JoinAuthorisation& authorisation_;
};

// The right of a joined node, whose identity was proven in the handshake, to its role certificate.
class RoleAuthorisation final : public authority::Authorisation {
 public:
  RoleAuthorisation(State& state, const Node& node, std::uint16_t http_port)
      : state_(state), node_(node), http_port_(http_port) {}

  base::Result<authority::Grant> verify(const crypto::PublicKey&, base::WallTime now) override {
    if (state_.published()->mode != "enhanced") {
      return base::fail(ErrorCode::FailedPrecondition,
                        "the mode is https-only: role certificates are not issued");
    }
    const auto recent = state_.records->issued_since(node_.id, authority::CertificateKind::Role,
                                                     now - std::chrono::hours(1));
    if (!recent) return std::unexpected(recent.error());
    if (*recent >= kRoleCertificatesPerHour) {
      return base::fail(ErrorCode::ResourceExhausted,
                        node_.name + " asked for too many role certificates");
    }
    authority::Grant grant;
    grant.kind = authority::CertificateKind::Role;
    grant.owner = node_.id;
    grant.names = node_.names;
    if (!node_.names.dns.empty()) {
      grant.crl_host = node_.names.dns.front();
    } else {
      const std::string& address = node_.names.addresses.front();
      grant.crl_host = address.find(':') == std::string::npos ? address : "[" + address + "]";
    }
    if (http_port_ != 80) grant.crl_host += ":" + std::to_string(http_port_);
    return grant;
  }
  // A node's right lasts as long as its identity.
  base::Status spend(const crypto::PublicKey&, base::WallTime) override { return {}; }

 private:
  State& state_;
  const Node& node_;
  std::uint16_t http_port_;
};

// The right of a joined node to go on being who it is, with the key that it has. The certificate
// that it shows stays good to its end: an answer that gets lost must not shut the node out.
class IdentityAuthorisation final : public authority::Authorisation {
 public:
  IdentityAuthorisation(const State& state, const Node& node, std::string current)
      : state_(state), node_(node), current_(std::move(current)) {}

  base::Result<authority::Grant> verify(const crypto::PublicKey& key, base::WallTime now) override {
    const auto shown = crypto::Certificate::from_der(base::as_bytes(current_));
    if (!shown) return std::unexpected(shown.error());
    const auto shown_key = shown->public_key();
    if (!shown_key) return std::unexpected(shown_key.error());
    if (*shown_key != key) {
      return base::fail(ErrorCode::PermissionDenied,
                        "an identity is renewed for its own key; for another one join again");
    }
    const auto recent = state_.records->issued_since(node_.id, authority::CertificateKind::Identity,
                                                     now - std::chrono::hours(1));
    if (!recent) return std::unexpected(recent.error());
    if (*recent >= kIdentitiesPerHour) {
      return base::fail(ErrorCode::ResourceExhausted,
                        node_.name + " asked for too many identities");
    }
    authority::Grant grant;
    grant.kind = authority::CertificateKind::Identity;
    grant.owner = node_.id;
    grant.names = node_.names;
    return grant;
  }
  base::Status spend(const crypto::PublicKey&, base::WallTime) override { return {}; }

 private:
  const State& state_;
  const Node& node_;
  const std::string current_;
};

}  // namespace

std::string hash_of_secret(std::string_view secret) {
  return crypto::sha256_hex(secret);
}

base::Result<Secret> make_secret(const State& state, std::string_view prefix) {
  std::array<std::uint8_t, 32> bytes{};
  base::random_bytes(bytes);
  client::BootstrapToken token;
  token.url = state.settings.public_url;
  token.root_sha256 = state.authority->root().sha256_hex();
  token.secret = base::to_base64url(bytes);
  return Secret{client::format_bootstrap_token(token, prefix), hash_of_secret(token.secret)};
}

base::Result<NewToken> create_join_token(State& state, const std::string& actor,
                                         const std::string& node_name,
                                         const crypto::AlternativeNames& names) {
  if (!content::is_safe_name(node_name)) {
    return base::fail(ErrorCode::InvalidArgument,
                      "a node's name is 1 to 128 letters, digits and \"._-\"");
  }
  LARDER_TRY(authority::check_names(state.policy, names));
  crypto::AlternativeNames lower = names;
  for (std::string& name : lower.dns) name = base::to_lower(name);
  const base::WallTime now = state.clock.wall();
  auto secret = make_secret(state, client::kJoinPrefix);
  if (!secret) return std::unexpected(secret.error());
  NewToken made{base::make_uuid(now), std::move(secret->text), now + kJoinTokenLifetime};
  LARDER_TRY(state.change(
      {actor, "join-token.create", made.id, "node " + node_name},
      [&](db::Session& session) -> base::Status {
        LARDER_TRY(check_unique(session, node_name, lower.dns));
        LARDER_TRY(session.execute(
            "DELETE FROM join_tokens WHERE expires_at <= :now OR (node = :node AND spent_by = '')",
            {to_unix_seconds(now), node_name}));
        const auto open = session.query("SELECT COUNT(*) FROM join_tokens");
        if (!open) return std::unexpected(open.error());
        if (open->front().integer(0) >= kOpenTokenLimit) {
          return base::fail(ErrorCode::ResourceExhausted, "too many join tokens are open");
        }
        LARDER_TRY(session.execute(
            "INSERT INTO join_tokens (id, secret_hash, node, names, addresses, expires_at, "
            "spent_by) VALUES (:id, :hash, :node, :names, :addresses, :expires_at, '')",
            {made.id, secret->hash, node_name, as_json(lower.dns), as_json(lower.addresses),
             to_unix_seconds(made.expires_at)}));
        return {};
      }));
  return made;
}

base::Result<Joined> join(State& state, std::string_view secret, std::string_view request_pem) {
  const base::WallTime now = state.clock.wall();
  JoinAuthorisation authorisation(state, hash_of_secret(secret));
  JoinRecords records(*state.records, authorisation);
  const auto answer =
      authority::sign(request_pem, authorisation, records, state.policy, *state.authority, now);
  if (!answer) return std::unexpected(answer.error());
  const Node& node = authorisation.node();
  state.nodes.put(node);
  for (const std::string& sha256 : authorisation.revoked()) state.nodes.remove_identity(sha256);
  state.nodes.add_identity(answer->certificate.sha256_hex(), node.id,
                           answer->certificate.not_after());
  base::log_info("node joined", {{"node", node.name}, {"id", node.id}});
  return Joined{node, answer->chain};
}

base::Result<authority::SigningAnswer> sign_role(State& state, const Node& node,
                                                 std::string_view request_pem,
                                                 std::uint16_t http_port) {
  RoleAuthorisation authorisation(state, node, http_port);
  return authority::sign(request_pem, authorisation, *state.records, state.policy, *state.authority,
                         state.clock.wall());
}

base::Result<authority::SigningAnswer> renew_identity(State& state, const Node& node,
                                                      std::string_view current,
                                                      std::string_view request_pem) {
  IdentityAuthorisation authorisation(state, node, std::string(current));
  auto answer = authority::sign(request_pem, authorisation, *state.records, state.policy,
                                *state.authority, state.clock.wall());
  if (!answer) return answer;
  state.nodes.add_identity(answer->certificate.sha256_hex(), node.id,
                           answer->certificate.not_after());
  base::log_info(
      "a node's identity is renewed",
      {{"node", node.name}, {"not_after", base::to_rfc3339(answer->certificate.not_after())}});
  return answer;
}

}  // namespace larder::site
