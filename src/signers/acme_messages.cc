#include "signers/acme_messages.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"

namespace larder::signers {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;

namespace {

constexpr std::size_t kTokenLimit = 256;
constexpr std::size_t kNonceLimit = 512;
constexpr std::size_t kDetailLimit = 300;
constexpr std::size_t kTypeLimit = 64;
constexpr std::size_t kChallengesLimit = 16;
constexpr std::size_t kAlternatesLimit = 4;

bool is_base64url(std::string_view text, std::size_t limit) {
  return !text.empty() && text.size() <= limit && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  for (const char c : text.substr(0, limit)) out += c >= 0x20 && c < 0x7F ? c : '?';
  return out;
}

Result<Json> parse_object(std::string_view text) {
  if (text.size() > kAcmeAnswerLimit) {
    return fail(ErrorCode::ResourceExhausted, "the answer is longer than 256 KiB");
  }
  auto json = base::parse_json(text);
  if (json && !json->is_object()) {
    return fail(ErrorCode::InvalidArgument, "the answer is no JSON object");
  }
  return json;
}

Result<std::string> url_member(const Json& json, const char* name) {
  auto url = base::json_string(json, name);
  if (url && !is_acme_url(*url)) {
    return fail(ErrorCode::InvalidArgument,
                "\"" + std::string(name) + "\" is no https URL of at most 2048 bytes");
  }
  return url;
}

AcmeProblem problem_of(const Json& json) {
  AcmeProblem problem;
  if (!json.is_object()) return problem;
  const auto type = base::json_string_or(json, "type", "");
  const auto detail = base::json_string_or(json, "detail", "");
  constexpr std::string_view kPrefix = "urn:ietf:params:acme:error:";
  if (type && type->starts_with(kPrefix)) {
    problem.type = printable(std::string_view(*type).substr(kPrefix.size()), kTypeLimit);
  }
  if (detail) problem.detail = printable(*detail, kDetailLimit);
  return problem;
}

Result<AcmeStatus> status_member(const Json& json) {
  const auto text = base::json_string(json, "status");
  if (!text) return std::unexpected(text.error());
  if (*text == "pending") return AcmeStatus::Pending;
  if (*text == "ready") return AcmeStatus::Ready;
  if (*text == "processing") return AcmeStatus::Processing;
  if (*text == "valid") return AcmeStatus::Valid;
  if (*text == "invalid" || *text == "deactivated" || *text == "expired" || *text == "revoked") {
    return AcmeStatus::Invalid;
  }
  return fail(ErrorCode::InvalidArgument, "the status \"" + printable(*text, 32) + "\" is unknown");
}

// One that is incomplete is as good as none: a server may offer kinds that we do not know.
std::optional<AcmeChallenge> challenge_of(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  auto type = base::json_string(json, "type");
  auto url = url_member(json, "url");
  auto token = base::json_string_or(json, "token", "");
  const auto status = base::json_string_or(json, "status", "");
  if (!type || !url || !token || !is_base64url(*token, kTokenLimit)) return std::nullopt;
  AcmeChallenge challenge{.type = printable(*type, kTypeLimit),
                          .url = std::move(*url),
                          .token = std::move(*token),
                          .is_processing = status && *status == "processing",
                          .error = {}};
  if (const auto error = json.find("error"); error != json.end())
    challenge.error = problem_of(*error);
  return challenge;
}

Result<AcmeIdentifier> identifier_of(const Json& json) {
  const auto found = json.find("identifier");
  if (found == json.end() || !found->is_object()) {
    return fail(ErrorCode::InvalidArgument, "\"identifier\" must be an object");
  }
  const auto type = base::json_string(*found, "type");
  if (!type) return std::unexpected(type.error());
  auto value = base::json_string(*found, "value");
  if (!value) return std::unexpected(value.error());
  if (*type != "dns" && *type != "ip") {
    return fail(ErrorCode::InvalidArgument, "an identifier is neither dns nor ip");
  }
  return AcmeIdentifier{.is_address = *type == "ip", .value = printable(*value, 253)};
}

}  // namespace

bool is_acme_url(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  return text.size() > kScheme.size() && text.size() <= kAcmeUrlLimit &&
         text.starts_with(kScheme) &&
         std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
}

bool is_acme_nonce(std::string_view text) {
  return is_base64url(text, kNonceLimit);
}

std::string AcmeProblem::text() const {
  if (type.empty() && detail.empty()) return "no reason given";
  if (type.empty() || detail.empty()) return type + detail;
  return type + ": " + detail;
}

AcmeProblem parse_acme_problem(std::string_view json) {
  const auto parsed = parse_object(json);
  return parsed ? problem_of(*parsed) : AcmeProblem{};
}

Result<AcmeDirectory> parse_acme_directory(std::string_view text) {
  const auto json = parse_object(text);
  if (!json) return std::unexpected(json.error());
  AcmeDirectory directory;
  for (const auto& [name, member] : {std::pair{"newNonce", &AcmeDirectory::new_nonce},
                                     std::pair{"newAccount", &AcmeDirectory::new_account},
                                     std::pair{"newOrder", &AcmeDirectory::new_order}}) {
    auto url = url_member(*json, name);
    if (!url) return std::unexpected(url.error());
    directory.*member = std::move(*url);
  }
  if (json->contains("renewalInfo")) {
    // A server that offers it wrongly signs all the same.
    if (auto url = url_member(*json, "renewalInfo")) directory.renewal_info = std::move(*url);
  }
  const auto meta = json->find("meta");
  if (meta == json->end() || !meta->is_object()) return directory;
  if (const auto terms = base::json_string_or(*meta, "termsOfService", ""); terms) {
    directory.terms = printable(*terms, kAcmeUrlLimit);
  }
  if (const auto needed = meta->find("externalAccountRequired"); needed != meta->end()) {
    directory.needs_external_account = needed->is_boolean() && needed->get<bool>();
  }
  return directory;
}

Result<AcmeOrder> parse_acme_order(std::string_view text) {
  const auto json = parse_object(text);
  if (!json) return std::unexpected(json.error());
  AcmeOrder order;
  const auto status = status_member(*json);
  if (!status) return std::unexpected(status.error());
  order.status = *status;
  auto finalize = url_member(*json, "finalize");
  if (!finalize) return std::unexpected(finalize.error());
  order.finalize = std::move(*finalize);
  const auto list = json->find("authorizations");
  if (list == json->end() || !list->is_array() || list->size() > kAcmeNamesLimit) {
    return fail(ErrorCode::InvalidArgument, "\"authorizations\" must be a list of at most 100");
  }
  for (const Json& each : *list) {
    if (!each.is_string() || !is_acme_url(each.get_ref<const std::string&>())) {
      return fail(ErrorCode::InvalidArgument, "an authorization is no https URL");
    }
    order.authorizations.push_back(each.get<std::string>());
  }
  if (json->contains("certificate")) {
    auto certificate = url_member(*json, "certificate");
    if (!certificate) return std::unexpected(certificate.error());
    order.certificate = std::move(*certificate);
  }
  if (const auto error = json->find("error"); error != json->end())
    order.error = problem_of(*error);
  return order;
}

Result<AcmeAuthorization> parse_acme_authorization(std::string_view text) {
  const auto json = parse_object(text);
  if (!json) return std::unexpected(json.error());
  AcmeAuthorization authorization;
  const auto status = status_member(*json);
  if (!status) return std::unexpected(status.error());
  authorization.status = *status;
  auto identifier = identifier_of(*json);
  if (!identifier) return std::unexpected(identifier.error());
  authorization.identifier = std::move(*identifier);
  const auto list = json->find("challenges");
  if (list == json->end() || !list->is_array() || list->size() > kChallengesLimit) {
    return fail(ErrorCode::InvalidArgument, "\"challenges\" must be a list of at most 16");
  }
  for (const Json& each : *list) {
    if (auto challenge = challenge_of(each)) {
      authorization.challenges.push_back(std::move(*challenge));
    }
  }
  return authorization;
}

std::vector<std::string> alternate_links(const HttpFields& fields) {
  std::vector<std::string> links;
  for (const auto& [name, value] : fields) {
    if (!base::equals_ignoring_case(name, "Link")) continue;
    std::string_view rest = value;
    while (links.size() < kAlternatesLimit) {
      const auto open = rest.find('<');
      const auto close = rest.find('>', open == std::string_view::npos ? rest.size() : open);
      if (close == std::string_view::npos) break;
      const std::string_view url = rest.substr(open + 1, close - open - 1);
      rest.remove_prefix(close + 1);
      const std::string_view parameters = rest.substr(0, rest.find('<'));
      const bool alternate = parameters.find("rel=\"alternate\"") != std::string_view::npos ||
                             parameters.find("rel=alternate") != std::string_view::npos;
      if (alternate && is_acme_url(url)) links.emplace_back(url);
    }
  }
  return links;
}

}  // namespace larder::signers
