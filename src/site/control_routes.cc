// The administrator at the unix socket: the kernel says who it is, the socket's mode who may.
#include <functional>
#include <nlohmann/json.hpp>

#include "site/packages.h"
#include "site/registration.h"
#include "site/routes.h"

namespace larder::site {
namespace {

using base::ErrorCode;
using server::RouteRequest;

constexpr std::size_t kClientsShown = 10'000;
constexpr std::size_t kTextLimit = 256;

std::string actor_of(const RouteRequest& request) {
  return "uid " + std::to_string(request.peer.credentials->user);
}

std::string time_or_empty(std::int64_t seconds) {
  return seconds == 0 ? std::string() : base::to_rfc3339(base::from_unix_seconds(seconds));
}

base::Result<std::vector<std::string>> name_list(const base::Json& body, const char* name) {
  std::vector<std::string> list;
  const auto found = body.find(name);
  if (found == body.end()) return list;
  if (!found->is_array() || found->size() > kTextLimit) {
    return base::fail(ErrorCode::InvalidArgument, std::string(name) + " is not a list of names");
  }
  for (const auto& item : *found) {
    if (!item.is_string()) {
      return base::fail(ErrorCode::InvalidArgument, std::string(name) + " is not a list of names");
    }
    list.push_back(item.get<std::string>());
  }
  return list;
}

base::Result<base::Json> make_join_token(State& state, const RouteRequest& request) {
  const auto body = parse_body(request);
  if (!body) return std::unexpected(body.error());
  const auto node = short_text(*body, "node", kTextLimit);
  if (!node) return std::unexpected(node.error());
  crypto::AlternativeNames names;
  auto dns = name_list(*body, "names");
  if (!dns) return std::unexpected(dns.error());
  names.dns = std::move(*dns);
  auto addresses = name_list(*body, "addresses");
  if (!addresses) return std::unexpected(addresses.error());
  names.addresses = std::move(*addresses);
  const auto made = create_join_token(state, actor_of(request), *node, names);
  if (!made) return std::unexpected(made.error());
  return base::Json{
      {"id", made->id}, {"token", made->text}, {"expires_at", base::to_rfc3339(made->expires_at)}};
}

base::Result<base::Json> make_registration_token(State& state, const RouteRequest& request) {
  const auto body = parse_body(request);
  if (!body) return std::unexpected(body.error());
  std::int64_t seconds = std::chrono::seconds(kRegistrationTokenLifetime).count();
  std::int64_t uses = 1;
  const std::pair<const char*, std::int64_t*> members[] = {{"lifetime_seconds", &seconds},
                                                           {"uses", &uses}};
  for (const auto& [name, place] : members) {
    if (!body->contains(name)) continue;
    const auto value = base::json_integer(*body, name);
    if (!value) return std::unexpected(value.error());
    *place = *value;
  }
  // Compared before it is multiplied anywhere.
  if (seconds > std::chrono::seconds(kRegistrationTokenLimit).count()) {
    return base::fail(ErrorCode::InvalidArgument, "a registration token lives at most seven days");
  }
  const auto made =
      create_registration_token(state, actor_of(request), std::chrono::seconds(seconds), uses);
  if (!made) return std::unexpected(made.error());
  return base::Json{
      {"id", made->id}, {"token", made->text}, {"expires_at", base::to_rfc3339(made->expires_at)}};
}

base::Result<base::Json> list_clients(const State& state) {
  const ClientTable::Summary summary = state.clients.summary(kClientsShown);
  base::Json list = base::Json::array();
  for (const Client& client : summary.newest) {
    list.push_back({{"id", client.id},
                    {"name", client.name},
                    {"state", client.blocked() ? "blocked" : "active"},
                    {"conflict", client.conflict},
                    {"hardware_id", client.hardware_id},
                    {"key", client.thumbprint},
                    {"registered_at", time_or_empty(client.registered_at)},
                    {"blocked_at", time_or_empty(client.blocked_at)},
                    {"last_seen_at", time_or_empty(client.last_seen)}});
  }
  return base::Json{{"total", summary.total}, {"clients", std::move(list)}};
}

base::Result<base::Json> block(State& state, const RouteRequest& request, bool blocked) {
  const std::string& id = request.captures.at("id");
  LARDER_TRY(set_blocked(state, actor_of(request), id, blocked));
  return base::Json{{"id", id}, {"state", blocked ? "blocked" : "active"}};
}

base::Result<base::Json> list_packages(const State& state) {
  const auto rows = state.database->read([](db::Session& session) {
    return session.query(
        "SELECT packages.name, packages.version, packages.published_at, COUNT(*), "
        "SUM(package_files.size) FROM packages JOIN package_files ON package_files.package = "
        "packages.name AND package_files.version = packages.version GROUP BY packages.name, "
        "packages.version, packages.published_at ORDER BY packages.name, packages.published_at");
  });
  if (!rows) return std::unexpected(rows.error());
  base::Json list = base::Json::array();
  for (const db::Row& row : *rows) {
    list.push_back({{"name", row.text(0)},
                    {"version", row.text(1)},
                    {"published_at", time_or_empty(row.integer(2))},
                    {"files", row.integer(3)},
                    {"size", row.integer(4)}});
  }
  return base::Json{{"packages", std::move(list)}};
}

base::Result<base::Json> take_file(State& state, const RouteRequest& request) {
  const auto file = add_package_file(state, actor_of(request), request.captures.at("package"),
                                     request.captures.at("version"), request.captures.at("file"),
                                     request.body_file);
  if (!file) return std::unexpected(file.error());
  return base::Json{{"name", file->name}, {"size", file->size}, {"sha256", file->sha256}};
}

base::Result<base::Json> publish(State& state, const RouteRequest& request) {
  const auto package = publish_package(state, actor_of(request), request.captures.at("package"),
                                       request.captures.at("version"));
  if (!package) return std::unexpected(package.error());
  return base::Json{{"name", package->name},
                    {"version", package->version},
                    {"manifest_sha256", content::manifest_sha256(package->manifest)}};
}

base::Result<base::Json> set_mode(State& state, const RouteRequest& request) {
  const auto body = parse_body(request);
  if (!body) return std::unexpected(body.error());
  const auto mode = base::json_string(*body, "mode");
  if (!mode) return std::unexpected(mode.error());
  if (*mode != "enhanced" && *mode != "https-only") {
    return base::fail(ErrorCode::InvalidArgument, "the mode is \"enhanced\" or \"https-only\"");
  }
  if (state.published()->mode != *mode) {
    LARDER_TRY(state.change(
        {actor_of(request), "site.mode", *mode, ""},
        [&](db::Session& session) -> base::Status {
          LARDER_TRY(
              session.execute("UPDATE setting SET value = :mode WHERE name = 'mode'", {*mode}));
          return {};
        },
        "mode"));
  }
  return base::Json{{"mode", *mode}};
}

base::Result<base::Json> check_ledger(const State& state) {
  const auto entries = state.records->verify_ledger(state.ledger_key->key.public_key());
  if (!entries) return std::unexpected(entries.error());
  return base::Json{{"entries", *entries}, {"intact", true}};
}

}  // namespace

void add_control_routes(server::Router& router, State& state) {
  using Handler = std::function<base::Result<base::Json>(State&, const RouteRequest&)>;
  const auto add = [&router, &state](const char* method, const char* pattern, Handler handler,
                                     server::RouteOptions options = {}) {
    router.add(
        method, pattern,
        [&state, handler = std::move(handler)](const RouteRequest& request) -> server::Reply {
          if (!request.peer.credentials) {
            return server::problem_reply(403, "permission-denied",
                                         "Changes go through the control socket.");
          }
          const auto answer = handler(state, request);
          if (!answer) return operator_problem(request.path, answer.error());
          return json_of(*answer);
        },
        std::move(options));
  };
  add("POST", "/api/v1/join-tokens", make_join_token);
  add("POST", "/api/v1/registration-tokens", make_registration_token);
  add("GET", "/api/v1/clients", [](State& s, const RouteRequest&) { return list_clients(s); });
  add("POST", "/api/v1/clients/{id}/block",
      [](State& s, const RouteRequest& request) { return block(s, request, true); });
  add("POST", "/api/v1/clients/{id}/unblock",
      [](State& s, const RouteRequest& request) { return block(s, request, false); });
  add("GET", "/api/v1/packages", [](State& s, const RouteRequest&) { return list_packages(s); });
  add("PUT", "/api/v1/packages/{package}/{version}/files/{file}", take_file,
      {kUploadLimit, state.upload_folder()});
  add("POST", "/api/v1/packages/{package}/{version}/publish", publish);
  add("PUT", "/api/v1/site/mode", set_mode);
  add("GET", "/api/v1/ledger", [](State& s, const RouteRequest&) { return check_ledger(s); });
}

}  // namespace larder::site
