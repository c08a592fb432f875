#include "agent/registration.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "client/bootstrap.h"
#include "crypto/digest.h"

namespace larder::agent {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kTokenLimit = 16 << 10;
constexpr std::int64_t kLifetimeLimit = 366LL * 24 * 3600;  // seconds
constexpr std::size_t kNameLimit = 256;
constexpr std::string_view kForm = "application/x-www-form-urlencoded";

Result<IssuedToken> parse_token(const std::string& body, const char* member) {
  const auto json = base::parse_json(body);
  if (!json) return base::with_context("the site's answer", json.error());
  auto text = base::json_string(*json, member);
  if (!text) return base::with_context("the site's answer", text.error());
  const auto lifetime = base::json_integer(*json, "expires_in");
  if (!lifetime) return base::with_context("the site's answer", lifetime.error());
  auto client_id = base::json_string_or(*json, "client_id", "");
  if (!client_id) return base::with_context("the site's answer", client_id.error());
  if (text->empty() || text->size() > kTokenLimit || *lifetime <= 0 || *lifetime > kLifetimeLimit) {
    return fail(ErrorCode::Unavailable, "the site's answer holds no usable token");
  }
  return IssuedToken{.client_id = std::move(*client_id),
                     .text = std::move(*text),
                     .lifetime = std::chrono::seconds(*lifetime)};
}

// Tells the site when one machine comes with a second key; the machine's own id stays here.
std::string hardware_id() {
  const auto id = base::read_file("/etc/machine-id", 4096);
  if (!id || id->size() < 32) return {};
  return crypto::sha256_hex("larder-hardware:" + id->substr(0, 32));
}

// A client token by the key alone: the proof of possession is the authentication.
Result<IssuedToken> request_client_token(SiteSession& session) {
  const auto body =
      session.post("/oauth2/token", kForm, "grant_type=client_credentials&scope=management");
  if (!body) return std::unexpected(body.error());
  return parse_token(*body, "access_token");
}

}  // namespace

Result<IssuedToken> request_registration(SiteSession& session, std::string_view secret,
                                         std::string_view name, std::string_view hardware_id) {
  const Json json = {{"registration_secret", secret}, {"name", name}, {"hardware_id", hardware_id}};
  const auto body = session.post("/client/v1/register", "application/json", json.dump());
  if (!body) return std::unexpected(body.error());
  auto token = parse_token(*body, "client_token");
  if (token && token->client_id.empty()) {
    return fail(ErrorCode::Unavailable, "the site's answer names no client");
  }
  return token;
}

bool is_renewal_due(const Registration& registration, base::WallTime now) {
  const auto life = registration.token_expires_at - registration.token_issued_at;
  return now >= registration.token_issued_at + life / 3;
}

Result<std::string> current_client_token(SiteSession& session, const std::string& folder,
                                         Registration& registration, base::WallTime now) {
  const auto lock = base::lock_file(folder + "/device.lock", "the device folder " + folder);
  // When another process holds the lock, it is the one that renews.
  if (is_renewal_due(registration, now) && (lock || now >= registration.token_expires_at)) {
    const auto renewed = request_client_token(session);
    if (renewed) {
      registration.token_issued_at = now;
      registration.token_expires_at = now + renewed->lifetime;
      LARDER_TRY(store_registration(folder, registration, renewed->text));
      return renewed->text;
    }
    if (now >= registration.token_expires_at) {
      return fail(ErrorCode::Unauthenticated,
                  "this device's client token has ended and cannot be renewed (" +
                      renewed.error().message + "): register again");
    }
    base::log_warning("the client token cannot be renewed yet",
                      {{"reason", renewed.error().message}});
  }
  return load_client_token(folder);
}

Result<IssuedToken> request_content_token(SiteSession& session, std::string_view certificate_der) {
  const auto body = session.post("/oauth2/token", kForm,
                                 "grant_type=client_credentials&scope=content&client_certificate=" +
                                     base::to_base64url(base::as_bytes(certificate_der)));
  if (!body) return std::unexpected(body.error());
  return parse_token(*body, "access_token");
}

Result<Registration> register_device(const std::string& folder, std::string_view token,
                                     std::string_view name, const base::Clock& clock) {
  const auto parsed = client::parse_bootstrap_token(token, client::kRegisterPrefix);
  if (!parsed) return std::unexpected(parsed.error());
  if (name.empty() || name.size() > kNameLimit) {
    return fail(ErrorCode::InvalidArgument, "a device's name has 1 to 256 bytes");
  }
  client::HttpClient http;
  const client::HttpExchange exchange = [&http](const auto& request) {
    return http.perform(request);
  };
  auto root = client::fetch_pinned_root(exchange, *parsed);
  if (!root) return std::unexpected(root.error());
  const auto device = open_device(folder, clock.wall());
  if (!device) return std::unexpected(device.error());
  const auto lock = base::lock_file(folder + "/device.lock", "the device folder " + folder);
  if (!lock) return std::unexpected(lock.error());

  SiteSession session(exchange, {.url = parsed->url, .root_pem = *root}, device->key, clock);
  const auto issued = request_registration(session, parsed->secret, name, hardware_id());
  if (!issued) return base::with_context("cannot register", issued.error());
  const auto now = clock.wall();
  Registration registration{.site_url = parsed->url,
                            .root_pem = std::move(*root),
                            .client_id = issued->client_id,
                            .name = std::string(name),
                            .registered_at = now,
                            .token_issued_at = now,
                            .token_expires_at = now + issued->lifetime};
  LARDER_TRY(forget_registration(folder));
  LARDER_TRY(store_registration(folder, registration, issued->text));
  return registration;
}

}  // namespace larder::agent
