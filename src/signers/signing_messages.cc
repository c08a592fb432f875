#include "signers/signing_messages.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"
#include "signers/command_signer.h"

namespace larder::signers {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;

namespace {

constexpr std::int64_t kFormat = 1;
constexpr std::size_t kRequestLimit = 64 << 10;  // bytes
constexpr std::int64_t kLongestTimeout = 3600;   // seconds
constexpr std::string_view kRefused = "refused";
constexpr std::string_view kFailed = "failed";

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Json> parse_message(std::string_view text) {
  auto json = base::parse_json(text);
  if (!json) return json;
  const auto format = base::json_integer(*json, "format");
  if (!format) return std::unexpected(format.error());
  if (*format != kFormat) {
    return fail(ErrorCode::FailedPrecondition,
                "node and signing service are of versions that do not understand each other");
  }
  return json;
}

}  // namespace

std::string print(const SigningQuestion& question) {
  return text_of({{"format", kFormat},
                  {"request", question.request_pem},
                  {"timeout", question.timeout.count()}});
}

Result<SigningQuestion> parse_signing_question(std::string_view text) {
  const auto json = parse_message(text);
  if (!json) return std::unexpected(json.error());
  auto request = base::json_string(*json, "request");
  if (!request) return std::unexpected(request.error());
  const auto timeout = base::json_integer(*json, "timeout");
  if (!timeout) return std::unexpected(timeout.error());
  if (request->empty() || request->size() > kRequestLimit) {
    return fail(ErrorCode::InvalidArgument, "\"request\" has no bytes, or more than 64 KiB");
  }
  if (*timeout < 1 || *timeout > kLongestTimeout) {
    return fail(ErrorCode::InvalidArgument, "\"timeout\" is not 1 to 3600");
  }
  return SigningQuestion{.request_pem = std::move(*request),
                         .timeout = std::chrono::seconds(*timeout)};
}

std::string print_signing_answer(const Result<std::string>& chain) {
  if (chain) {
    return text_of({{"format", kFormat}, {"chain", base::to_base64url(base::as_bytes(*chain))}});
  }
  const bool refused = chain.error().code == ErrorCode::PermissionDenied;
  return text_of({{"format", kFormat},
                  {"error", refused ? kRefused : kFailed},
                  {"reason", chain.error().message}});
}

Result<std::string> parse_signing_answer(std::string_view text) {
  const auto json = parse_message(text);
  if (!json) return std::unexpected(json.error());
  if (json->contains("chain")) {
    const auto encoded = base::json_string(*json, "chain");
    if (!encoded) return std::unexpected(encoded.error());
    auto chain = base::from_base64url(*encoded);
    if (!chain || chain->empty() || chain->size() > kCommandOutputLimit) {
      return fail(ErrorCode::InvalidArgument, "\"chain\" is no base64url of 1 to 65536 bytes");
    }
    return chain;
  }
  const auto error = base::json_string(*json, "error");
  if (!error) return std::unexpected(error.error());
  const auto reason = base::json_string_or(*json, "reason", "");
  if (!reason) return std::unexpected(reason.error());
  return fail(*error == kRefused ? ErrorCode::PermissionDenied : ErrorCode::Unavailable,
              reason->empty() ? "no reason given" : printable_errors(*reason));
}

}  // namespace larder::signers
