#include "client/bootstrap.h"

#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"
#include "crypto/certificate.h"

namespace larder::client {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::size_t kTokenLimit = 4096;
constexpr std::size_t kSecretSize = 32;
constexpr std::uint64_t kRootLimit = 64 << 10;

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool is_acceptable(const BootstrapToken& token) {
  const auto digest = base::from_hex(token.root_sha256);
  const auto secret = base::from_base64url(token.secret);
  return token.url.starts_with("https://") && token.url.size() > 8 && !token.url.ends_with('/') &&
         digest && digest->size() == 32 && base::to_lower(token.root_sha256) == token.root_sha256 &&
         secret && secret->size() == kSecretSize;
}

}  // namespace

Result<BootstrapToken> parse_bootstrap_token(std::string_view text, std::string_view prefix) {
  const auto wrong = [&] {
    return fail(ErrorCode::InvalidArgument, "this is no token that begins with \"" +
                                                std::string(prefix) +
                                                "\": copy it again as a whole");
  };
  text = trim(text);
  if (text.size() > kTokenLimit || !text.starts_with(prefix)) return wrong();
  const auto payload = base::from_base64url(text.substr(prefix.size()));
  if (!payload) return wrong();
  const auto json = base::parse_json(*payload, 2);
  if (!json) return wrong();
  auto url = base::json_string(*json, "url");
  auto root = base::json_string(*json, "root_sha256");
  auto secret = base::json_string(*json, "secret");
  if (!url || !root || !secret) return wrong();
  BootstrapToken token{
      .url = std::move(*url), .root_sha256 = std::move(*root), .secret = std::move(*secret)};
  if (!is_acceptable(token)) return wrong();
  return token;
}

std::string format_bootstrap_token(const BootstrapToken& token, std::string_view prefix) {
  const base::Json json = {
      {"url", token.url}, {"root_sha256", token.root_sha256}, {"secret", token.secret}};
  return std::string(prefix) + base::to_base64url(base::as_bytes(json.dump()));
}

Result<std::string> fetch_pinned_root(const HttpExchange& exchange, const BootstrapToken& token) {
  HttpRequest request;
  request.url = token.url + "/.larder/pki/root.crt";
  request.pinned_fetch = true;
  request.connect_timeout = std::chrono::seconds(10);
  request.body_limit = kRootLimit;
  const auto response = exchange(request);
  if (!response) return std::unexpected(response.error());
  if (response->status != 200) {
    return fail(ErrorCode::Unavailable, token.url + " answers " + std::to_string(response->status) +
                                            " when asked for its root certificate");
  }
  const auto root = crypto::Certificate::from_pem(response->body);
  if (!root || root->sha256_hex() != token.root_sha256) {
    return fail(ErrorCode::Unauthenticated,
                token.url + " is not the site of this token: its root certificate differs");
  }
  return root->to_pem();
}

}  // namespace larder::client
