#include "signers/renewal_info.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"
#include "crypto/key_identifier.h"
#include "signers/acme_messages.h"

namespace larder::signers {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;

namespace {

constexpr std::chrono::seconds kShortestWait = std::chrono::minutes(1);
constexpr std::chrono::seconds kLongestWait = std::chrono::hours(24);
constexpr std::chrono::seconds kUsualWait = std::chrono::hours(6);

// Servers may write parts of a second, and UTC as an offset.
Result<base::WallTime> time_member(const Json& json, const char* name) {
  const auto text = base::json_string(json, name);
  if (!text) return std::unexpected(text.error());
  std::string plain = *text;
  if (plain.ends_with("+00:00")) plain.replace(plain.size() - 6, 6, "Z");
  if (const auto dot = plain.find('.'); dot != std::string::npos && plain.ends_with('Z')) {
    const auto end = plain.find_first_not_of("0123456789", dot + 1);
    if (end == plain.size() - 1 && end > dot + 1) plain.erase(dot, end - dot);
  }
  auto time = base::parse_rfc3339(plain);
  if (!time) return base::with_context("\"" + std::string(name) + "\"", time.error());
  return time;
}

// The content of the DER of a number: as many bytes as it needs, the first one below 0x80.
std::optional<std::string> integer_content(std::string hex) {
  if (hex.size() % 2 != 0) hex.insert(0, 1, '0');
  auto bytes = base::from_hex(hex);
  if (!bytes || bytes->empty()) return std::nullopt;
  if ((static_cast<unsigned char>(bytes->front()) & 0x80U) != 0) bytes->insert(0, 1, '\0');
  return std::move(*bytes);
}

}  // namespace

Result<certs::RenewalWindow> parse_renewal_info(std::string_view text) {
  if (text.size() > kAcmeAnswerLimit) {
    return fail(ErrorCode::ResourceExhausted, "the answer is longer than 256 KiB");
  }
  const auto json = base::parse_json(text);
  if (!json) return std::unexpected(json.error());
  const auto window = json->is_object() ? json->find("suggestedWindow") : json->end();
  if (window == json->end() || !window->is_object()) {
    return fail(ErrorCode::InvalidArgument, "\"suggestedWindow\" must be an object");
  }
  const auto start = time_member(*window, "start");
  if (!start) return std::unexpected(start.error());
  const auto end = time_member(*window, "end");
  if (!end) return std::unexpected(end.error());
  if (*end <= *start) {
    return fail(ErrorCode::InvalidArgument, "the suggested window ends before it begins");
  }
  return certs::RenewalWindow{.start = *start, .end = *end};
}

std::optional<std::string> renewal_info_id(const crypto::Certificate& certificate) {
  const std::string issuer = crypto::authority_key_identifier(certificate);
  const auto serial = integer_content(certificate.serial_hex());
  if (issuer.empty() || !serial) return std::nullopt;
  return base::to_base64url(base::as_bytes(issuer)) + "." +
         base::to_base64url(base::as_bytes(*serial));
}

std::string renewal_info_url(std::string_view base_url, std::string_view id) {
  std::string url(base_url);
  if (!url.ends_with('/')) url += '/';
  return url.append(id);
}

std::chrono::seconds until_next_look(std::optional<std::chrono::seconds> retry_after) {
  return std::clamp(retry_after.value_or(kUsualWait), kShortestWait, kLongestWait);
}

}  // namespace larder::signers
