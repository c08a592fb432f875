#include "site/registration.h"

#include "base/log.h"
#include "base/random.h"
#include "client/bootstrap.h"

namespace larder::site {
namespace {

using base::ErrorCode;
using base::to_unix_seconds;

struct RegistrationToken {
  std::string id;
  std::int64_t uses_left = 0;
};

base::Result<RegistrationToken> find_token(db::Session& session, const std::string& hash,
                                           base::WallTime now) {
  const auto rows = session.query(
      "SELECT id, uses_left, expires_at FROM registration_tokens WHERE secret_hash = :hash",
      {hash});
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return base::fail(ErrorCode::Unauthenticated, "no such registration token");
  if (rows->front().integer(2) <= to_unix_seconds(now)) {
    return base::fail(ErrorCode::Unauthenticated, "the registration token has expired");
  }
  return RegistrationToken{rows->front().text(0), rows->front().integer(1)};
}

base::Result<std::optional<Client>> find_client(db::Session& session,
                                                const std::string& thumbprint) {
  const auto rows = session.query(
      "SELECT id, name, hardware_id, conflict, registered_at, blocked_at FROM clients WHERE "
      "thumbprint = :thumbprint",
      {thumbprint});
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return std::nullopt;
  const db::Row& row = rows->front();
  return Client{row.text(0),         thumbprint,     row.text(1),   row.text(2),
                row.integer(3) != 0, row.integer(4), row.integer(5)};
}

base::Result<bool> is_known_hardware(db::Session& session, const std::string& hardware_id) {
  if (hardware_id.empty()) return false;
  const auto rows =
      session.query("SELECT 1 FROM clients WHERE hardware_id = :hardware LIMIT 1", {hardware_id});
  if (!rows) return std::unexpected(rows.error());
  return !rows->empty();
}

base::Result<Client> insert_client(db::Session& session, const Registration& registration,
                                   const RegistrationToken& token, base::WallTime now) {
  if (token.uses_left <= 0) {
    return base::fail(ErrorCode::PermissionDenied, "the registration token is used up");
  }
  const auto conflict = is_known_hardware(session, registration.hardware_id);
  if (!conflict) return std::unexpected(conflict.error());
  Client client;
  client.id = base::make_uuid(now);
  client.thumbprint = registration.thumbprint;
  client.name = registration.name;
  client.hardware_id = registration.hardware_id;
  client.conflict = *conflict;
  client.registered_at = to_unix_seconds(now);
  LARDER_TRY(session.execute(
      "UPDATE registration_tokens SET uses_left = uses_left - 1 WHERE id = :id", {token.id}));
  LARDER_TRY(session.execute(
      "INSERT INTO clients (id, thumbprint, name, hardware_id, conflict, registration_token, "
      "registered_at, blocked_at) VALUES (:id, :thumbprint, :name, :hardware_id, :conflict, "
      ":token, :registered_at, 0)",
      {client.id, client.thumbprint, client.name, client.hardware_id,
       std::int64_t{client.conflict ? 1 : 0}, token.id, client.registered_at}));
  return client;
}

}  // namespace

base::Result<NewToken> create_registration_token(State& state, const std::string& actor,
                                                 std::chrono::seconds lifetime, std::int64_t uses) {
  if (lifetime <= std::chrono::seconds(0) || lifetime > kRegistrationTokenLimit) {
    return base::fail(ErrorCode::InvalidArgument,
                      "a registration token lives at least a second and at most seven days");
  }
  if (uses < 1 || uses > kRegistrationUsesLimit) {
    return base::fail(
        ErrorCode::InvalidArgument,
        "a registration token has 1 to " + std::to_string(kRegistrationUsesLimit) + " uses");
  }
  const base::WallTime now = state.clock.wall();
  auto secret = make_secret(state, client::kRegisterPrefix);
  if (!secret) return std::unexpected(secret.error());
  NewToken made{base::make_uuid(now), std::move(secret->text), now + lifetime};
  LARDER_TRY(state.change(
      {actor, "registration-token.create", made.id, std::to_string(uses) + " uses"},
      [&](db::Session& session) -> base::Status {
        LARDER_TRY(session.execute(
            "INSERT INTO registration_tokens (id, secret_hash, expires_at, uses, uses_left) VALUES "
            "(:id, :hash, :expires_at, :uses, :uses_left)",
            {made.id, secret->hash, to_unix_seconds(made.expires_at), uses, uses}));
        return {};
      }));
  return made;
}

base::Result<Client> register_client(State& state, const Registration& registration) {
  const base::WallTime now = state.clock.wall();
  bool is_new = false;
  const auto client = state.database->write([&](db::Session& session) -> base::Result<Client> {
    const auto token = find_token(session, hash_of_secret(registration.secret), now);
    if (!token) return std::unexpected(token.error());
    auto known = find_client(session, registration.thumbprint);
    if (!known) return std::unexpected(known.error());
    if (*known && (*known)->blocked()) {
      return base::fail(ErrorCode::PermissionDenied, "the client " + (*known)->id + " is blocked");
    }
    if (*known) return std::move(**known);
    is_new = true;
    auto made = insert_client(session, registration, *token, now);
    if (!made) return made;
    LARDER_TRY(append_audit(session,
                            {"client " + made->id, "client.register", made->id,
                             made->conflict ? "hardware id known with another key" : ""},
                            now));
    return made;
  });
  if (!client) return client;
  // A known client is in the table already, perhaps blocked in the meantime.
  if (is_new) {
    state.clients.put(*client);
    base::log_info("client registered", {{"client", client->id}, {"name", client->name}});
    if (client->conflict) {
      base::log_warning("a known hardware id was registered with a new key",
                        {{"client", client->id}});
    }
  }
  return client;
}

base::Status set_blocked(State& state, const std::string& actor, const std::string& client_id,
                         bool blocked) {
  auto client = state.clients.find(client_id);
  if (!client) return base::fail(ErrorCode::NotFound, "there is no such client");
  if (client->blocked() == blocked) return {};
  const std::int64_t at = blocked ? to_unix_seconds(state.clock.wall()) : 0;
  client->blocked_at = at;
  // Refused here from now on, whatever becomes of the transaction; let in again only after it.
  if (blocked) state.clients.put(*client);
  const base::Status changed = state.change(
      {actor, blocked ? "client.block" : "client.unblock", client_id, client->name},
      [&](db::Session& session) -> base::Status {
        LARDER_TRY(
            session.execute("UPDATE clients SET blocked_at = :at WHERE id = :id", {at, client_id}));
        return {};
      },
      blocked ? "block" : "unblock");
  if (changed && !blocked) state.clients.put(*client);
  return changed;
}

}  // namespace larder::site
