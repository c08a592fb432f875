// Devices: metadata, registration, tokens, location, and content as the last resort.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/random.h"
#include "crypto/certificate.h"
#include "crypto/digest.h"
#include "site/packages.h"
#include "site/proof.h"
#include "site/registration.h"
#include "site/routes.h"

namespace larder::site {
namespace {

using base::ErrorCode;

constexpr std::size_t kNameLimit = 256;
constexpr std::chrono::seconds kNodeIsFresh{60};
constexpr std::chrono::hours kLocationLifetime{1};

const crypto::PublicKey* token_key(const State& state, std::string_view id) {
  return id == state.token_signer->key_id() ? &state.token_signer->public_key() : nullptr;
}

server::Reply metadata(const State& state) {
  const std::string& url = state.settings.public_url;
  return json_of({{"issuer", url},
                  {"token_endpoint", url + "/oauth2/token"},
                  {"jwks_uri", url + "/.well-known/jwks.json"},
                  {"grant_types_supported", {"client_credentials"}},
                  {"response_types_supported", base::Json::array()},
                  {"scopes_supported", {"content", "management"}},
                  {"token_endpoint_auth_methods_supported", {"none"}},
                  {"dpop_signing_alg_values_supported", {"ES256"}},
                  {"tls_client_certificate_bound_access_tokens", true}});
}

base::Result<std::string> make_client_token(const State& state, const Client& client,
                                            base::WallTime now) {
  token::ClientClaims claims;
  claims.issuer = state.settings.public_url;
  claims.client_id = client.id;
  claims.token_id = base::make_uuid(now);
  claims.key_thumbprint = client.thumbprint;
  claims.issued_at = now;
  claims.expires_at = now + token::kClientTokenLifetime;
  return state.token_signer->sign(claims);
}

server::Reply register_device(State& state, const server::RouteRequest& request) {
  constexpr std::string_view kPath = "/client/v1/register";
  auto proof = prove(state, request, kPath);
  if (!proof) return std::move(proof.error());
  const auto refuse = [&](const base::Error& error) {
    return with_nonce(state, public_problem(kPath, error));
  };
  const auto body = parse_body(request);
  if (!body) return refuse(body.error());
  Registration registration;
  registration.thumbprint = proof->key_thumbprint;
  const std::pair<const char*, std::string*> members[] = {
      {"registration_secret", &registration.secret},
      {"name", &registration.name},
      {"hardware_id", &registration.hardware_id}};
  for (const auto& [name, place] : members) {
    auto value = short_text(*body, name, kNameLimit);
    if (!value) return refuse(value.error());
    *place = std::move(*value);
  }
  const auto client = register_client(state, registration);
  if (!client) return refuse(client.error());
  const auto text = make_client_token(state, *client, state.clock.wall());
  if (!text) return refuse(text.error());
  state.clients.seen(client->thumbprint, state.clock.wall());
  return with_nonce(
      state, json_of({{"client_id", client->id},
                      {"client_token", *text},
                      {"expires_in", std::chrono::seconds(token::kClientTokenLifetime).count()}}));
}

// application/x-www-form-urlencoded; nothing when it is malformed or a name repeats (RFC 6749
// section 3.2).
std::optional<std::map<std::string, std::string>> parse_form(std::string_view body) {
  constexpr std::size_t kMembers = 32;
  std::map<std::string, std::string> form;
  const auto decode = [](std::string_view text) -> std::optional<std::string> {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '+') {
        out += ' ';
      } else if (text[i] != '%') {
        out += text[i];
      } else {
        const auto byte = base::from_hex(text.substr(i + 1, 2));
        if (!byte || byte->size() != 1) return std::nullopt;
        out += *byte;
        i += 2;
      }
    }
    return out;
  };
  while (!body.empty()) {
    const std::string_view member = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(body.size(), member.size() + 1));
    if (member.empty()) continue;
    const std::size_t equals = std::min(member.find('='), member.size());
    const auto name = decode(member.substr(0, equals));
    const auto value = decode(member.substr(std::min(member.size(), equals + 1)));
    if (!name || !value || form.size() >= kMembers) return std::nullopt;
    if (!form.emplace(*name, *value).second) return std::nullopt;
  }
  return form;
}

// The certificate that the token shall be bound to: self-made by the device over its registered
// key, so that holding the key and showing the certificate are one thing.
base::Result<crypto::Certificate> own_certificate(const std::string& text,
                                                  const token::DpopProof& proof,
                                                  base::WallTime now) {
  const auto der = base::from_base64url(text);
  if (!der) return std::unexpected(der.error());
  auto certificate = crypto::Certificate::from_der(base::as_bytes(*der));
  if (!certificate) return certificate;
  const auto key = certificate->public_key();
  if (!key) return std::unexpected(key.error());
  if (!(*key == proof.key)) {
    return base::fail(ErrorCode::InvalidArgument,
                      "the client certificate is not over the registered key");
  }
  if (certificate->not_after() <= now) {
    return base::fail(ErrorCode::InvalidArgument, "the client certificate has expired");
  }
  return certificate;
}

// A new client token: the proof by the registered key is all that it takes.
server::Reply renewed(const State& state, const Client& client, base::WallTime now) {
  const auto text = make_client_token(state, client, now);
  if (!text) return public_problem("/oauth2/token", text.error());
  return json_of({{"access_token", *text},
                  {"token_type", "DPoP"},
                  {"scope", "management"},
                  {"expires_in", std::chrono::seconds(token::kClientTokenLifetime).count()}});
}

server::Reply give_token(State& state, const server::RouteRequest& request) {
  auto proof = prove(state, request, "/oauth2/token");
  if (!proof) return std::move(proof.error());
  const auto refuse = [&](int status, std::string_view error, std::string_view description) {
    return with_nonce(state, oauth_error(status, error, description));
  };
  const base::WallTime now = state.clock.wall();
  const auto client = state.clients.find_by_key(proof->key_thumbprint);
  if (!client) {
    return refuse(401, "invalid_client", "This key is not registered: register it first.");
  }
  if (client->blocked()) return refuse(401, "invalid_client", "This client is blocked.");
  state.clients.seen(client->thumbprint, now);
  const auto form = parse_form(request.body);
  if (!form) return refuse(400, "invalid_request", "The form is malformed.");
  const auto member = [&](const char* name) {
    const auto found = form->find(name);
    return found == form->end() ? std::string() : found->second;
  };
  if (member("grant_type") != "client_credentials") {
    return refuse(400, "unsupported_grant_type", "The grant type is client_credentials.");
  }
  if (member("scope") == "management") return with_nonce(state, renewed(state, *client, now));
  if (member("scope") != "content") {
    return refuse(400, "invalid_scope", "The scope is content or management.");
  }
  const auto certificate = own_certificate(member("client_certificate"), *proof, now);
  if (!certificate) {
    return refuse(400, "invalid_request",
                  "client_certificate must be a certificate over the registered key, DER as "
                  "base64url.");
  }
  token::ContentClaims claims;
  claims.issuer = state.settings.public_url;
  claims.client_id = client->id;
  claims.token_id = base::make_uuid(now);
  claims.certificate_sha256 = certificate->sha256();
  claims.issued_at = now;
  claims.expires_at = now + token::kContentTokenLifetime;
  const auto text = state.token_signer->sign(claims);
  if (!text) return with_nonce(state, public_problem("/oauth2/token", text.error()));
  return with_nonce(
      state, json_of({{"access_token", *text},
                      {"token_type", "Bearer"},
                      {"scope", "content"},
                      {"expires_in", std::chrono::seconds(token::kContentTokenLifetime).count()}}));
}

// Highest random weight: each package concentrates on few nodes, and a node that leaves moves only
// its own share.
std::vector<Node> order_for(std::vector<Node> nodes, const std::string& package) {
  std::vector<std::pair<crypto::Sha256Digest, Node>> weighted;
  for (Node& node : nodes) {
    weighted.emplace_back(crypto::sha256(package + "\n" + node.id), std::move(node));
  }
  std::ranges::sort(weighted, std::ranges::greater{},
                    &std::pair<crypto::Sha256Digest, Node>::first);
  std::vector<Node> ordered;
  for (auto& [weight, node] : weighted) ordered.push_back(std::move(node));
  return ordered;
}

// Whether the node's content port shows a certificate that the site issued. One of a PKI is
// preferred where there is one, and in https-only mode there is no other: those the device's own
// store judges.
bool serves_with_ours(const NodeReport& report, const std::string& mode) {
  return mode == "enhanced" &&
         std::ranges::none_of(report.certificates, [](const ReportedCertificate& each) {
           return each.source == "pki" && each.state == "active";
         });
}

base::Json location(const State& state, const PublishedPackage& package, base::WallTime now) {
  const auto published = state.published();
  const std::string root = state.authority->root().to_pem();
  base::Json nodes = base::Json::array();
  for (const Node& node : order_for(state.nodes.list(), package.name + " " + package.version)) {
    if (!node.report || node.report->content_url.empty()) continue;
    if (now - node.reported_at > kNodeIsFresh) continue;
    nodes.push_back({{"name", node.name},
                     {"url", node.report->content_url},
                     {"trust", serves_with_ours(*node.report, published->mode) ? root : ""}});
  }
  return {{"package", package.name},
          {"version", package.version},
          {"manifest", package.manifest},
          {"manifest_sha256", content::manifest_sha256(package.manifest)},
          {"manifest_key", base::Json::parse(token::print_jwk(state.manifest_key->published))},
          {"expires_at", base::to_rfc3339(now + kLocationLifetime)},
          {"nodes", std::move(nodes)},
          {"fallback", {{{"url", state.settings.public_url}, {"trust", root}}}}};
}

server::Reply locate(State& state, const server::RouteRequest& request) {
  constexpr std::string_view kPath = "/client/v1/locate";
  constexpr std::string_view kScheme = "DPoP ";
  const std::string_view authorization = request.field("Authorization");
  const std::string_view access_token = authorization.starts_with(kScheme)
                                            ? authorization.substr(kScheme.size())
                                            : std::string_view();
  auto proof = prove(state, request, kPath, access_token);
  if (!proof) return std::move(proof.error());
  const base::WallTime now = state.clock.wall();
  const auto refuse = [&](std::string_view description) {
    server::Reply reply = oauth_error(401, "invalid_token", description);
    reply.fields.emplace_back("WWW-Authenticate", "DPoP algs=\"ES256\", error=\"invalid_token\"");
    return with_nonce(state, std::move(reply));
  };
  const auto claims = token::verify_client_token(
      access_token, [&](std::string_view id) { return token_key(state, id); },
      state.settings.public_url, proof->key_thumbprint, now);
  if (!claims) return refuse(token::description(claims.error()));
  const auto client = state.clients.find_by_key(proof->key_thumbprint);
  if (!client || client->id != claims->client_id || client->blocked()) {
    return refuse("This client is blocked or not registered any more.");
  }
  state.clients.seen(client->thumbprint, now);
  const auto body = parse_body(request);
  if (!body) return with_nonce(state, public_problem(kPath, body.error()));
  const auto name = short_text(*body, "package", kNameLimit);
  if (!name) return with_nonce(state, public_problem(kPath, name.error()));
  const auto version = short_text(*body, "version", kNameLimit);
  if (!version) return with_nonce(state, public_problem(kPath, version.error()));
  const auto published = state.published();
  const PublishedPackage* package = published->find(*name, *version);
  if (package == nullptr) {
    return with_nonce(state, server::problem_reply(404, "no-such-package",
                                                   "There is no such package or version."));
  }
  return with_nonce(state, json_of(location(state, *package, now)));
}

server::Reply challenge(const State& state, std::string_view error, std::string_view description) {
  std::string value = "Bearer realm=\"larder\"";
  if (!error.empty()) {
    value += ", error=\"" + std::string(error) + "\", error_description=\"" +
             std::string(description) + "\"";
  }
  value += ", authorization_uri=\"" + state.settings.public_url + "/oauth2/token\"";
  server::Reply reply = server::text_reply(
      401, std::string(description) +
               " Register this device with `larder client register`; `larder get` then asks for "
               "its token by itself.\n");
  reply.fields.emplace_back("WWW-Authenticate", std::move(value));
  return reply;
}

server::Reply serve_content(const State& state, const server::RouteRequest& request) {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view authorization = request.field("Authorization");
  if (!authorization.starts_with(kScheme)) {
    return challenge(state, "", "This content needs a content token.");
  }
  if (request.peer.client_certificate.empty()) {
    return challenge(state, "invalid_token", "The token's client certificate was not shown.");
  }
  const auto claims = token::verify_content_token(
      authorization.substr(kScheme.size()),
      [&](std::string_view id) { return token_key(state, id); }, state.settings.public_url,
      crypto::sha256(request.peer.client_certificate), state.clock.wall());
  if (!claims) return challenge(state, "invalid_token", token::description(claims.error()));
  const auto client = state.clients.find(claims->client_id);
  if (!client || client->blocked()) {
    return challenge(state, "invalid_token", "This client is blocked.");
  }
  const auto file = find_package_file(state, request.captures.at("package"),
                                      request.captures.at("version"), request.captures.at("file"));
  if (!file) return public_problem("/content", file.error());
  if (!*file) return server::text_reply(404, "There is no such file.\n");
  auto open = state.library->open_file((*file)->sha256);
  if (!open) return public_problem("/content", open.error());
  if (!*open) return server::text_reply(503, "The file is not here at present.\n");
  return file_reply(request, std::move((*open)->fd), (*open)->size, (*file)->sha256);
}

}  // namespace

void add_client_routes(server::Router& router, State& state) {
  using server::RouteRequest;
  router.add("GET", "/.well-known/oauth-authorization-server",
             [&state](const RouteRequest&) { return metadata(state); });
  router.add("GET", "/.well-known/jwks.json", [&state](const RouteRequest&) {
    return server::json_reply(token::print_jwk_set(state.token_keys));
  });
  router.add("POST", "/client/v1/register",
             [&state](const RouteRequest& request) { return register_device(state, request); });
  router.add("POST", "/oauth2/token",
             [&state](const RouteRequest& request) { return give_token(state, request); });
  router.add("POST", "/client/v1/locate",
             [&state](const RouteRequest& request) { return locate(state, request); });
  router.add("GET", "/content/{package}/{version}/{file}",
             [&state](const RouteRequest& request) { return serve_content(state, request); });
}

}  // namespace larder::site
