#include "node/site_calls.h"

#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "base/json.h"
#include "crypto/certificate.h"
#include "crypto/request.h"
#include "crypto/verify.h"
#include "node/site_view.h"

namespace larder::node {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;
using base::Status;
using client::HttpRequest;
using client::HttpResponse;

namespace {

HttpRequest request_to(const SiteIdentity& identity, const std::string& path) {
  HttpRequest request;
  request.url = identity.url + path;
  request.trust = identity.root_pem;
  request.certificate = identity.certificate_pem;
  request.key = identity.key_pem;
  return request;
}

void set_json(HttpRequest& request, std::string json) {
  request.method = "POST";
  request.fields.emplace_back("Content-Type", "application/json");
  request.body = std::move(json);
}

// The refusal of a site as an error: its problem document's sentence, where it has one.
std::unexpected<base::Error> refusal(const std::string& what, const HttpResponse& response) {
  ErrorCode code = ErrorCode::Unavailable;
  if (response.status == 401) code = ErrorCode::Unauthenticated;
  if (response.status == 403) code = ErrorCode::PermissionDenied;
  if (response.status == 404) code = ErrorCode::NotFound;
  if (response.status == 400) code = ErrorCode::InvalidArgument;
  if (response.status == 409) code = ErrorCode::AlreadyExists;
  auto text = what + ": the site answers " + std::to_string(response.status);
  const auto json = base::parse_json(response.body);
  if (json) {
    const auto detail = base::json_string(*json, "detail");
    if (detail && detail->size() < 500) text += ": " + *detail;
  }
  return fail(code, text);
}

Result<Json> exchange_json(const client::HttpExchange& exchange, const HttpRequest& request,
                           const std::string& what) {
  const auto response = exchange(request);
  if (!response) return std::unexpected(response.error());
  if (response->status != 200) return refusal(what, *response);
  auto json = base::parse_json(response->body);
  if (!json) return base::with_context(what, json.error());
  return json;
}

// The chain must be for our key, lead to the site's root and be good for the purpose and names.
Status check_chain(const std::string& chain_pem, const crypto::PrivateKey& key,
                   const std::string& root_pem, crypto::ChainPurpose purpose,
                   std::span<const std::string> names, base::WallTime now) {
  const auto chain = crypto::parse_certificates(chain_pem);
  if (!chain) return std::unexpected(chain.error());
  const auto trust = crypto::TrustStore::from_pem(root_pem);
  if (!trust) return std::unexpected(trust.error());
  if (!chain->front().matches(key)) {
    return fail(ErrorCode::Unauthenticated, "the site's certificate is for another key");
  }
  return crypto::verify_chain(chain->front(), std::span(*chain).subspan(1), *trust, purpose, names,
                              now);
}

struct KeyAndRequest {
  crypto::PrivateKey key;
  std::string key_pem;
  std::string request_pem;
};

Result<KeyAndRequest> make_request(const crypto::AlternativeNames& names) {
  auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256);
  if (!key) return std::unexpected(key.error());
  auto pem = key->to_pem();
  if (!pem) return std::unexpected(pem.error());
  const auto request = crypto::CertificateRequest::create(*key, {}, names);
  if (!request) return std::unexpected(request.error());
  return KeyAndRequest{
      .key = std::move(*key), .key_pem = std::move(*pem), .request_pem = request->to_pem()};
}

}  // namespace

Result<SiteIdentity> join_site(const client::HttpExchange& exchange,
                               const client::BootstrapToken& token, base::WallTime now) {
  auto root = client::fetch_pinned_root(exchange, token);
  if (!root) return std::unexpected(root.error());
  // The name is a wish that a request must have; the site gives the names.
  auto made = make_request({.dns = {"larder-node"}});
  if (!made) return std::unexpected(made.error());

  SiteIdentity identity;
  identity.url = token.url;
  identity.root_pem = std::move(*root);
  identity.key_pem = std::move(made->key_pem);
  HttpRequest request;
  request.url = token.url + "/node/v1/join";
  request.trust = identity.root_pem;
  set_json(request, Json({{"token_secret", token.secret}, {"csr", made->request_pem}}).dump());
  const auto json = exchange_json(exchange, request, "cannot join");
  if (!json) return std::unexpected(json.error());
  const std::pair<const char*, std::string*> members[] = {
      {"node_id", &identity.node_id},
      {"name", &identity.name},
      {"certificate", &identity.certificate_pem}};
  for (const auto& [name, target] : members) {
    auto value = base::json_string(*json, name);
    if (!value) return base::with_context("cannot join", value.error());
    *target = std::move(*value);
  }
  const auto checked = check_chain(identity.certificate_pem, made->key, identity.root_pem,
                                   crypto::ChainPurpose::Client, {}, now);
  if (!checked) return base::with_context("cannot join", checked.error());
  return identity;
}

Result<std::optional<std::string>> wait_for_snapshot(const client::HttpExchange& exchange,
                                                     const SiteIdentity& identity,
                                                     std::uint64_t after,
                                                     std::chrono::seconds wait) {
  auto request = request_to(identity, "/node/v1/changes?after=" + std::to_string(after) +
                                          "&wait=" + std::to_string(wait.count()));
  request.timeout = wait + std::chrono::seconds(15);
  request.body_limit = kSnapshotLimit + (64 << 10);
  const auto response = exchange(request);
  if (!response) return std::unexpected(response.error());
  if (response->status == 204) return std::nullopt;
  if (response->status != 200) return refusal("no news from the site", *response);
  const auto json = base::parse_json(response->body);
  if (!json) return base::with_context("news from the site", json.error());
  auto snapshot = base::json_string(*json, "snapshot");
  if (!snapshot) return base::with_context("news from the site", snapshot.error());
  return std::optional(std::move(*snapshot));
}

Result<std::string> request_identity(const client::HttpExchange& exchange,
                                     const SiteIdentity& identity, base::WallTime now) {
  const auto key = crypto::PrivateKey::from_pem(identity.key_pem);
  if (!key) return std::unexpected(key.error());
  const auto csr = crypto::CertificateRequest::create(*key, {}, {.dns = {"larder-node"}});
  if (!csr) return std::unexpected(csr.error());
  auto request = request_to(identity, "/node/v1/identity-certificate");
  set_json(request, Json({{"csr", csr->to_pem()}}).dump());
  const auto json = exchange_json(exchange, request, "no new identity");
  if (!json) return std::unexpected(json.error());
  auto chain = base::json_string(*json, "certificate");
  if (!chain) return base::with_context("no new identity", chain.error());
  const auto checked =
      check_chain(*chain, *key, identity.root_pem, crypto::ChainPurpose::Client, {}, now);
  if (!checked) return base::with_context("the new identity is not usable", checked.error());
  return chain;
}

Result<RoleFiles> request_role(const client::HttpExchange& exchange, const SiteIdentity& identity,
                               const std::vector<std::string>& dns_names,
                               const std::vector<std::string>& addresses, std::uint16_t http_port,
                               base::WallTime now) {
  auto made = make_request({.dns = dns_names, .addresses = addresses});
  if (!made) return std::unexpected(made.error());
  auto request = request_to(identity, "/node/v1/role-certificate");
  Json body = {{"csr", made->request_pem}};
  if (http_port != 0) body["http_port"] = http_port;
  set_json(request, body.dump());
  const auto json = exchange_json(exchange, request, "no role certificate");
  if (!json) return std::unexpected(json.error());
  auto chain = base::json_string(*json, "certificate");
  if (!chain) return base::with_context("no role certificate", chain.error());
  auto names = dns_names;
  names.insert(names.end(), addresses.begin(), addresses.end());
  const auto checked =
      check_chain(*chain, made->key, identity.root_pem, crypto::ChainPurpose::Server, names, now);
  if (!checked) return base::with_context("the role certificate is not usable", checked.error());
  return RoleFiles{.key_pem = std::move(made->key_pem), .chain_pem = std::move(*chain)};
}

Result<std::string> fetch_revocation_list(const client::HttpExchange& exchange,
                                          const SiteIdentity& identity, std::string_view issuer) {
  auto request = request_to(identity, "/.larder/pki/" + std::string(issuer) + ".crl");
  request.body_limit = 4 << 20;
  auto response = exchange(request);
  if (!response) return std::unexpected(response.error());
  if (response->status != 200) return refusal("the site gives no revocation list", *response);
  return std::move(response->body);
}

Status send_report(const client::HttpExchange& exchange, const SiteIdentity& identity,
                   std::string json) {
  auto request = request_to(identity, "/node/v1/report");
  request.timeout = std::chrono::seconds(5);
  set_json(request, std::move(json));
  const auto response = exchange(request);
  if (!response) return std::unexpected(response.error());
  if (response->status != 200) return refusal("the site does not take the report", *response);
  return {};
}

HttpRequest file_request(const SiteIdentity& identity, std::string_view sha256) {
  return request_to(identity, "/node/v1/files/" + std::string(sha256));
}

}  // namespace larder::node
