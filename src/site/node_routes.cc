// Nodes: join, identity, role certificate, changes, files, report.
#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "site/join.h"
#include "site/routes.h"
#include "site/snapshot.h"

namespace larder::site {
namespace {

using base::ErrorCode;

constexpr std::int64_t kLongestWait = 50;  // seconds
constexpr std::size_t kRequestLimit = 64 * 1024;

OrReply<Node> ask_who(const State& state, const server::RouteRequest& request) {
  auto node = state.nodes.authenticate(request.peer.client_certificate, state.clock.wall());
  if (!node) return std::unexpected(public_problem(request.path, node.error()));
  return std::move(*node);
}

base::Result<std::string> member(const server::RouteRequest& request, const char* name) {
  const auto body = parse_body(request);
  if (!body) return std::unexpected(body.error());
  auto value = base::json_string(*body, name);
  if (value && value->size() > kRequestLimit) {
    return base::fail(ErrorCode::InvalidArgument, std::string(name) + " is too long");
  }
  return value;
}

server::Reply join_node(State& state, const server::RouteRequest& request) {
  const auto secret = member(request, "token_secret");
  if (!secret) return public_problem(request.path, secret.error());
  const auto csr = member(request, "csr");
  if (!csr) return public_problem(request.path, csr.error());
  const auto joined = join(state, *secret, *csr);
  if (!joined) return public_problem(request.path, joined.error());
  return json_of({{"node_id", joined->node.id},
                  {"name", joined->node.name},
                  {"names", joined->node.names.dns},
                  {"addresses", joined->node.names.addresses},
                  {"certificate", joined->chain}});
}

// Where the node answers for its certificate's revocation list: 80 unless it says otherwise.
base::Result<std::uint16_t> http_port_of(const server::RouteRequest& request) {
  const auto body = parse_body(request);
  if (!body) return std::unexpected(body.error());
  if (!body->contains("http_port")) return std::uint16_t{80};
  const auto port = base::json_integer(*body, "http_port");
  if (!port) return std::unexpected(port.error());
  if (*port < 1 || *port > 65535) {
    return base::fail(ErrorCode::InvalidArgument, "http_port is no port");
  }
  return static_cast<std::uint16_t>(*port);
}

server::Reply give_role_certificate(State& state, const server::RouteRequest& request) {
  auto node = ask_who(state, request);
  if (!node) return std::move(node.error());
  const auto csr = member(request, "csr");
  if (!csr) return public_problem(request.path, csr.error());
  const auto port = http_port_of(request);
  if (!port) return public_problem(request.path, port.error());
  const auto answer = sign_role(state, *node, *csr, *port);
  if (!answer) return public_problem(request.path, answer.error());
  return json_of({{"certificate", answer->chain}});
}

server::Reply give_identity_certificate(State& state, const server::RouteRequest& request) {
  auto node = ask_who(state, request);
  if (!node) return std::move(node.error());
  const auto csr = member(request, "csr");
  if (!csr) return public_problem(request.path, csr.error());
  const auto answer = renew_identity(state, *node, request.peer.client_certificate, *csr);
  if (!answer) return public_problem(request.path, answer.error());
  return json_of({{"certificate", answer->chain}});
}

// A whole number within bounds; nothing when the text is something else.
std::optional<std::int64_t> number(const server::RouteRequest& request, const char* name,
                                   std::int64_t highest) {
  const auto found = request.query.find(name);
  if (found == request.query.end()) return 0;
  std::int64_t value = 0;
  const char* begin = found->second.data();
  const char* end = begin + found->second.size();
  const auto parsed = std::from_chars(begin, end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value < 0 || value > highest) {
    return std::nullopt;
  }
  return value;
}

// Waiters cost no SQL and no thread: they look at the published state whenever it is replaced.
net::Task<server::Reply> wait_for_change(State* state, server::RouteRequest request) {
  auto node = ask_who(*state, request);
  if (!node) co_return std::move(node.error());
  const auto after = number(request, "after", std::numeric_limits<std::int64_t>::max());
  const auto wait = number(request, "wait", std::numeric_limits<std::int64_t>::max());
  if (!after || !wait) {
    co_return public_problem(request.path, {ErrorCode::InvalidArgument, "after or wait"});
  }
  const base::SteadyTime deadline =
      state->clock.steady() + std::chrono::seconds(std::min(*wait, kLongestWait));
  for (;;) {
    const std::uint64_t seen = state->changed.count();
    const auto published = state->published();
    if (published->sequence > *after) {
      // Again: the node may have been revoked, or got other names, while it waited.
      node = ask_who(*state, request);
      if (!node) co_return std::move(node.error());
      const auto snapshot = sign_snapshot(*state, *published, *node, state->clock.wall());
      if (!snapshot) co_return public_problem(request.path, snapshot.error());
      co_return json_of({{"sequence", published->sequence}, {"snapshot", *snapshot}});
    }
    if (*wait == 0 || state->stopping || !co_await state->changed.wait(seen, deadline)) break;
  }
  server::Reply nothing;
  nothing.status = 204;
  co_return nothing;
}

server::Reply give_file(const State& state, const server::RouteRequest& request) {
  auto node = ask_who(state, request);
  if (!node) return std::move(node.error());
  const std::string& sha256 = request.captures.at("sha256");
  if (!content::is_sha256(sha256)) {
    return public_problem(request.path, {ErrorCode::NotFound, "not a SHA-256"});
  }
  auto open = state.library->open_file(sha256);
  if (!open) return public_problem(request.path, open.error());
  if (!*open) return public_problem(request.path, {ErrorCode::NotFound, "no such file"});
  return file_reply(request, std::move((*open)->fd), (*open)->size, sha256);
}

// Whether a device would reach this very node there: https, one of its own names, no path.
bool is_own_url(const Node& node, std::string_view url) {
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme)) return false;
  std::string_view host = url.substr(kScheme.size());
  if (host.find_first_of("/?#@ ") != std::string_view::npos) return false;
  host = host.substr(0, host.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto matches = [&](const std::string& name) {
    return base::equals_ignoring_case(name, host);
  };
  return std::ranges::any_of(node.names.dns, matches) ||
         std::ranges::any_of(node.names.addresses, matches);
}

server::Reply take_report(State& state, const server::RouteRequest& request) {
  auto node = ask_who(state, request);
  if (!node) return std::move(node.error());
  auto report = parse_report(request.body);
  if (!report) return public_problem(request.path, report.error());
  if (!report->content_url.empty() && !is_own_url(*node, report->content_url)) {
    return public_problem(request.path,
                          {ErrorCode::InvalidArgument,
                           node->name + " reports a content_url that is not below its names"});
  }
  const base::WallTime now = state.clock.wall();
  state.nodes.report(node->id, std::move(*report), now);
  return json_of({{"time", base::to_rfc3339(now)}});
}

}  // namespace

void add_node_routes(server::Router& router, State& state) {
  using server::RouteRequest;
  router.add("POST", "/node/v1/join",
             [&state](const RouteRequest& request) { return join_node(state, request); });
  router.add("POST", "/node/v1/role-certificate", [&state](const RouteRequest& request) {
    return give_role_certificate(state, request);
  });
  router.add("POST", "/node/v1/identity-certificate", [&state](const RouteRequest& request) {
    return give_identity_certificate(state, request);
  });
  router.add_task("GET", "/node/v1/changes", [&state](RouteRequest request) {
    return wait_for_change(&state, std::move(request));
  });
  router.add("GET", "/node/v1/files/{sha256}",
             [&state](const RouteRequest& request) { return give_file(state, request); });
  router.add("POST", "/node/v1/report",
             [&state](const RouteRequest& request) { return take_report(state, request); });
}

}  // namespace larder::site
