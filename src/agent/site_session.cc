#include "agent/site_session.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "token/dpop.h"

namespace larder::agent {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::uint64_t kAnswerLimit = 4 << 20;  // a location answer holds a whole manifest
constexpr std::size_t kNonceLimit = 512;

ErrorCode code_of(int status) {
  switch (status) {
    case 401:
      return ErrorCode::Unauthenticated;
    case 403:
      return ErrorCode::PermissionDenied;
    case 404:
      return ErrorCode::NotFound;
    default:
      return status >= 400 && status < 500 && status != 429 ? ErrorCode::InvalidArgument
                                                            : ErrorCode::Unavailable;
  }
}

// What a problem document (RFC 9457) or an OAuth error (RFC 6749 section 5.2) says.
std::string sentence_of(const std::string& body) {
  const auto json = base::parse_json(body);
  if (!json) return {};
  for (const auto* name : {"detail", "error_description", "title", "error"}) {
    const auto text = base::json_string(*json, name);
    if (text && !text->empty() && text->size() < 500) return ": " + *text;
  }
  return {};
}

}  // namespace

SiteSession::SiteSession(client::HttpExchange exchange, SiteAddress site, crypto::PrivateKey key,
                         const base::Clock& clock)
    : exchange_(std::move(exchange)), site_(std::move(site)), key_(std::move(key)), clock_(clock) {}

Result<std::string> SiteSession::post(std::string_view path, std::string_view content_type,
                                      std::string body, std::string_view access_token) {
  const auto url = site_.url + std::string(path);
  const auto sent_nonce = nonce_;
  auto response = attempt(url, content_type, body, access_token);
  if (!response) return std::unexpected(response.error());
  if (response->status == 401 && nonce_ != sent_nonce) {
    response = attempt(url, content_type, body, access_token);
    if (!response) return std::unexpected(response.error());
  }
  if (response->status >= 200 && response->status < 300) return std::move(response->body);
  return fail(code_of(response->status),
              "the site answers " + std::to_string(response->status) + sentence_of(response->body));
}

Result<client::HttpResponse> SiteSession::attempt(const std::string& url,
                                                  std::string_view content_type,
                                                  const std::string& body,
                                                  std::string_view access_token) {
  auto proof = token::make_dpop_proof(
      key_, {.method = "POST", .url = url, .access_token = access_token}, nonce_, clock_.wall());
  if (!proof) return std::unexpected(proof.error());
  client::HttpRequest request;
  request.method = "POST";
  request.url = url;
  request.trust = site_.root_pem;
  request.connect_timeout = std::chrono::seconds(10);
  request.body_limit = kAnswerLimit;
  request.body = body;
  request.fields = {{"Content-Type", std::string(content_type)}, {"DPoP", std::move(*proof)}};
  if (!access_token.empty()) {
    request.fields.emplace_back("Authorization", "DPoP " + std::string(access_token));
  }
  auto response = exchange_(request);
  if (response) {
    const auto nonce = response->field("DPoP-Nonce");
    if (!nonce.empty() && nonce.size() <= kNonceLimit) nonce_ = nonce;
  }
  return response;
}

}  // namespace larder::agent
