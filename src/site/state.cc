#include "site/state.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/address.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "site/schema.h"

namespace larder::site {
namespace {

base::Result<std::string> setting(db::Session& session, const std::string& name) {
  const auto rows = session.query("SELECT value FROM setting WHERE name = :name", {name});
  if (!rows) return std::unexpected(rows.error());
  return rows->empty() ? std::string() : rows->front().text(0);
}

base::Result<std::vector<std::string>> text_list(const std::string& json) {
  const auto parsed = base::parse_json(json);
  if (!parsed) return std::unexpected(parsed.error());
  std::vector<std::string> list;
  for (const auto& item : *parsed) list.push_back(item.get<std::string>());
  return list;
}

base::Result<std::unique_ptr<SigningKey>> load_key(const std::string& path, std::string_view use) {
  auto key = crypto::load_or_create_key(path, crypto::KeyAlgorithm::EcP256);
  if (!key) return std::unexpected(key.error());
  auto published = token::make_set_key(key->public_key(), use);
  if (!published) return std::unexpected(published.error());
  return std::make_unique<SigningKey>(SigningKey{std::move(*key), std::move(*published)});
}

base::Status load_keys(State& state) {
  const std::string folder = state.settings.state_dir + "/keys";
  LARDER_TRY(base::make_directories(folder, 0700));
  auto signing = load_key(folder + "/token.key", "sig");
  if (!signing) return std::unexpected(signing.error());
  auto signer = token::TokenSigner::create((*signing)->key);
  if (!signer) return std::unexpected(signer.error());
  state.token_signer = std::make_unique<token::TokenSigner>(std::move(*signer));
  const std::pair<const char*, std::unique_ptr<SigningKey>*> others[] = {
      {"manifest", &state.manifest_key},
      {"snapshot", &state.snapshot_key},
      {"ledger", &state.ledger_key}};
  for (const auto& [name, place] : others) {
    auto key = load_key(folder + "/" + name + ".key", name);
    if (!key) return std::unexpected(key.error());
    *place = std::move(*key);
  }
  state.token_keys = {(*signing)->published, state.manifest_key->published};
  return {};
}

// A new site gets its id and mode; its first change is that it exists.
base::Status load_settings(State& state) {
  const base::WallTime now = state.clock.wall();
  return state.database->write([&](db::Session& session) -> base::Status {
    const auto id = setting(session, "site_id");
    if (!id) return std::unexpected(id.error());
    state.site_id = *id;
    if (!state.site_id.empty()) return {};
    state.site_id = base::make_uuid(now);
    LARDER_TRY(session.execute(
        "INSERT INTO setting (name, value) VALUES ('site_id', :id), ('mode', :mode)",
        {state.site_id, state.settings.mode}));
    LARDER_TRY(append_audit(session, {"site", "site.create", state.site_id, ""}, now));
    const auto sequence = db::append_change(session, "created", base::to_unix_seconds(now));
    if (!sequence) return std::unexpected(sequence.error());
    return {};
  });
}

base::Status load_clients(State& state) {
  const auto rows = state.database->read([](db::Session& session) {
    return session.query(
        "SELECT id, thumbprint, name, hardware_id, conflict, registered_at, blocked_at FROM "
        "clients",
        {}, 1'000'000);
  });
  if (!rows) return std::unexpected(rows.error());
  for (const db::Row& row : *rows) {
    state.clients.put({row.text(0), row.text(1), row.text(2), row.text(3), row.integer(4) != 0,
                       row.integer(5), row.integer(6)});
  }
  return {};
}

base::Status load_nodes(State& state) {
  const auto nodes = state.database->read([](db::Session& session) {
    return session.query("SELECT id, name, names, addresses, joined_at FROM nodes");
  });
  if (!nodes) return std::unexpected(nodes.error());
  for (const db::Row& row : *nodes) {
    auto names = text_list(row.text(2));
    if (!names) return std::unexpected(names.error());
    auto addresses = text_list(row.text(3));
    if (!addresses) return std::unexpected(addresses.error());
    Node node;
    node.id = row.text(0);
    node.name = row.text(1);
    node.names.dns = std::move(*names);
    node.names.addresses = std::move(*addresses);
    node.joined_at = row.integer(4);
    state.nodes.put(std::move(node));
  }
  const auto certificates = state.records->current(state.clock.wall());
  if (!certificates) return std::unexpected(certificates.error());
  for (const CertificateRow& row : *certificates) {
    if (row.revoked_at == 0 && row.kind == name(authority::CertificateKind::Identity)) {
      state.nodes.add_identity(row.sha256, row.owner, base::from_unix_seconds(row.not_after));
    }
  }
  return {};
}

// Host of "https://host[:port]".
base::Result<std::string> host_of(const std::string& url) {
  constexpr std::string_view kScheme = "https://";
  const auto refuse = [&] {
    return base::fail(
        base::ErrorCode::InvalidArgument,
        "public_url must be https://<name>[:<port>] without a path, not \"" + url + "\"");
  };
  if (!url.starts_with(kScheme)) return refuse();
  std::string authority = url.substr(kScheme.size());
  if (authority.empty() || authority.find_first_of("/?#@ ") != std::string::npos) return refuse();
  if (authority.front() == '[') {
    const auto end = authority.find(']');
    if (end == std::string::npos) return refuse();
    return authority.substr(1, end - 1);
  }
  std::string host = authority.substr(0, authority.find(':'));
  if (host.empty()) return refuse();
  return host;
}

base::Status check_settings(State& state) {
  const SiteSettings& settings = state.settings;
  if (settings.database != "sqlite") {
    return base::fail(base::ErrorCode::InvalidArgument, "database must be \"sqlite\"");
  }
  if (settings.mode != "enhanced" && settings.mode != "https-only") {
    return base::fail(base::ErrorCode::InvalidArgument,
                      "mode must be \"enhanced\" or \"https-only\"");
  }
  auto host = host_of(settings.public_url);
  if (!host) return std::unexpected(host.error());
  state.public_host = std::move(*host);
  state.policy.constraints = {settings.dns_suffixes, settings.address_ranges};
  crypto::AlternativeNames own;
  (base::is_address(state.public_host) ? own.addresses : own.dns).push_back(state.public_host);
  if (const base::Status allowed = authority::check_names(state.policy, own); !allowed) {
    return base::with_context(
        "public_url (its host must be below dns_suffixes or in address_ranges)", allowed.error());
  }
  return {};
}

}  // namespace

const PublishedPackage* Published::find(std::string_view name, std::string_view version) const {
  const auto found = std::ranges::find_if(packages, [&](const PublishedPackage& package) {
    return package.name == name && (version.empty() || package.version == version);
  });
  return found == packages.end() ? nullptr : &*found;
}

std::shared_ptr<const Published> State::published() const {
  const std::lock_guard lock(published_mutex_);
  return published_;
}

base::Status State::publish() {
  const std::lock_guard publishing(publish_mutex_);
  auto next = database->read([](db::Session& session) -> base::Result<Published> {
    Published published;
    const auto sequence = db::last_change(session);
    if (!sequence) return std::unexpected(sequence.error());
    published.sequence = *sequence;
    const auto mode = setting(session, "mode");
    if (!mode) return std::unexpected(mode.error());
    published.mode = *mode;
    const auto blocked =
        session.query("SELECT id, blocked_at FROM clients WHERE blocked_at > 0 ORDER BY id");
    if (!blocked) return std::unexpected(blocked.error());
    for (const db::Row& row : *blocked) published.blocked.push_back({row.text(0), row.integer(1)});
    const auto packages = session.query(
        "SELECT name, version, manifest, published_at FROM packages ORDER BY published_at DESC, "
        "name, version DESC");
    if (!packages) return std::unexpected(packages.error());
    for (const db::Row& row : *packages) {
      published.packages.push_back({row.text(0), row.text(1), row.text(2), row.integer(3)});
    }
    return published;
  });
  if (!next) return std::unexpected(next.error());
  {
    const std::lock_guard lock(published_mutex_);
    if (published_ != nullptr && published_->sequence >= next->sequence) return {};
    published_ = std::make_shared<const Published>(std::move(*next));
  }
  changed.notify();
  return {};
}

base::Status append_audit(db::Session& session, const AuditEntry& entry, base::WallTime now) {
  LARDER_TRY(session.execute(
      "INSERT INTO audit (seq, at, actor, action, target, detail) SELECT COALESCE(MAX(seq), 0) + "
      "1, :at, :actor, :action, :target, :detail FROM audit",
      {base::to_unix_seconds(now), entry.actor, entry.action, entry.target, entry.detail}));
  return {};
}

base::Status State::change(const AuditEntry& entry, const Change& closure, std::string_view kind) {
  const base::WallTime now = clock.wall();
  LARDER_TRY(database->write([&](db::Session& session) -> base::Status {
    LARDER_TRY(closure(session));
    LARDER_TRY(append_audit(session, entry, now));
    if (kind.empty()) return {};
    const auto sequence = db::append_change(session, kind, base::to_unix_seconds(now));
    if (!sequence) return std::unexpected(sequence.error());
    return {};
  }));
  base::log_info("changed", {{"action", entry.action},
                             {"target", entry.target},
                             {"actor", entry.actor},
                             {"detail", entry.detail}});
  return kind.empty() ? base::Status() : publish();
}

base::Status load_state(State& state) {
  LARDER_TRY(check_settings(state));
  const std::string& folder = state.settings.state_dir;
  LARDER_TRY(base::make_directories(folder, 0750));
  LARDER_TRY(base::make_directories(state.upload_folder(), 0700));
  state.started_at = state.clock.wall();
  auto database = db::Database::open({folder + "/site.db", 4}, migrations());
  if (!database) return std::unexpected(database.error());
  state.database = std::move(*database);
  state.records = std::make_unique<CertificateRecords>(*state.database);
  LARDER_TRY(load_keys(state));
  auto authority = authority::Authority::open(
      {folder + "/pki", state.settings.name, state.policy.constraints}, state.clock.wall());
  if (!authority) return std::unexpected(authority.error());
  state.authority = std::move(*authority);
  auto library = content::Library::open(folder + "/content");
  if (!library) return std::unexpected(library.error());
  state.library = std::move(*library);
  LARDER_TRY(load_settings(state));
  LARDER_TRY(load_clients(state));
  LARDER_TRY(load_nodes(state));
  return state.publish();
}

}  // namespace larder::site
