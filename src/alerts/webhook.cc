#include "alerts/webhook.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "http/target.h"

namespace larder::alerts {

using base::ErrorCode;
using base::Result;

namespace {

constexpr std::uint64_t kTrustLimit = 8 << 20;
constexpr std::uint64_t kSecretLimit = 4096;
constexpr std::chrono::seconds kTimeout{5};

}  // namespace

Result<std::string> parse_webhook_url(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  const auto wrong = [] {
    return base::fail(ErrorCode::InvalidArgument, "is not like https://host/path");
  };
  if (text.empty()) return std::string();
  if (!text.starts_with(kScheme) || text.size() > 2048) return wrong();
  const std::string_view rest = text.substr(kScheme.size());
  if (!http::parse_authority(rest.substr(0, rest.find_first_of("/?")))) return wrong();
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '#') return wrong();
  }
  return std::string(text);
}

Result<std::string> read_webhook_secret(const std::string& file) {
  const std::string setting = "[node] alert_webhook_secret";
  struct stat status{};
  if (::stat(file.c_str(), &status) == 0 && (status.st_mode & (S_IWGRP | S_IRWXO)) != 0) {
    return base::fail(ErrorCode::PermissionDenied,
                      setting + ": " + file + ": others may read or change it; chmod 0600 it");
  }
  auto secret = base::read_file(file, kSecretLimit);
  if (!secret) return base::with_context(setting, secret.error());
  while (secret->ends_with('\n') || secret->ends_with('\r')) secret->pop_back();
  if (secret->empty()) {
    return base::fail(ErrorCode::InvalidArgument, setting + ": " + file + " is empty");
  }
  return secret;
}

Result<client::HttpRequest> make_webhook_request(const WebhookSettings& settings,
                                                 const std::string& node, const Alert& alert,
                                                 base::WallTime now) {
  client::HttpRequest request;
  request.method = "POST";
  request.url = settings.url;
  request.timeout = kTimeout;
  base::Json message = alert.about;
  message.update({{"id", alert.id},
                  {"at", base::to_rfc3339(alert.at)},
                  {"node", node},
                  {"kind", alert.kind},
                  {"text", alert.text}});
  request.body = message.dump(-1, ' ', false, base::Json::error_handler_t::replace);
  const std::string timestamp = std::to_string(base::to_unix_seconds(now));
  request.fields = {{"Content-Type", "application/json"}, {"X-Larder-Timestamp", timestamp}};
  if (!settings.trust.empty()) {
    auto trust = base::read_file(settings.trust, kTrustLimit);
    if (!trust) return std::unexpected(trust.error());
    request.trust = std::move(*trust);
  }
  if (!settings.secret.empty()) {
    const auto secret = read_webhook_secret(settings.secret);
    if (!secret) return std::unexpected(secret.error());
    const auto signature = crypto::hmac_sha256(*secret, timestamp + "." + request.body);
    request.fields.emplace_back("X-Larder-Signature", "sha256=" + base::to_hex(signature));
  }
  return request;
}

}  // namespace larder::alerts
