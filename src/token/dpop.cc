#include "token/dpop.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/encoding.h"
#include "base/json.h"
#include "base/random.h"
#include "crypto/jws.h"

namespace larder::token {

using base::Json;
using base::Result;

namespace {

constexpr std::string_view kType = "dpop+jwt";
constexpr std::size_t kProofLimit = 4 * 1024;
constexpr std::size_t kIdLimit = 128;
constexpr std::size_t kUrlLimit = 2048;
// A nonce lives up to two minutes, so an honest proof may be that old; more is a wrong clock.
constexpr std::chrono::seconds kProofAge{120};
constexpr std::chrono::seconds kClockLeeway{60};

std::string access_token_hash(std::string_view access_token) {
  return base::to_base64url(crypto::sha256(access_token));
}

// Scheme and authority in one spelling, without query and fragment (RFC 9449 section 4.3 point 9,
// RFC 3986 section 6.2.2 and 6.2.3). Nothing for what is no http address.
std::optional<std::string> normalized(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const std::size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos || url.size() > kUrlLimit) return std::nullopt;
  const std::string scheme = base::to_lower(url.substr(0, scheme_end));
  if (scheme != "https" && scheme != "http") return std::nullopt;
  url.remove_prefix(scheme_end + 3);
  const std::size_t path_start = url.find('/');
  std::string authority = base::to_lower(url.substr(0, path_start));
  if (authority.empty() || authority.find('@') != std::string::npos) return std::nullopt;
  const std::string_view default_port = scheme == "https" ? ":443" : ":80";
  if (authority.ends_with(default_port)) authority.resize(authority.size() - default_port.size());
  const std::string_view path =
      path_start == std::string_view::npos ? std::string_view("/") : url.substr(path_start);
  return scheme + "://" + authority + std::string(path);
}

struct ProofClaims {
  std::string method;
  std::string url;
  std::string id;
  std::string nonce;
  std::string access_token_hash;
  std::int64_t issued_at = 0;
};

std::optional<ProofClaims> read_claims(std::string_view payload) {
  const auto json = base::parse_json(payload);
  if (!json || !json->is_object()) return std::nullopt;
  auto method = base::json_string(*json, "htm");
  auto url = base::json_string(*json, "htu");
  auto id = base::json_string(*json, "jti");
  const auto issued_at = base::json_integer(*json, "iat");
  auto nonce = base::json_string_or(*json, "nonce", "");
  auto hash = base::json_string_or(*json, "ath", "");
  if (!method || !url || !id || !issued_at || !nonce || !hash) return std::nullopt;
  if (id->empty() || id->size() > kIdLimit) return std::nullopt;
  return ProofClaims{.method = std::move(*method),
                     .url = std::move(*url),
                     .id = std::move(*id),
                     .nonce = std::move(*nonce),
                     .access_token_hash = std::move(*hash),
                     .issued_at = *issued_at};
}

std::optional<DpopRefusal> find_mismatch(const ProofClaims& claims, const DpopRequest& request,
                                         base::WallTime now) {
  if (claims.method != request.method) return DpopRefusal::WrongMethod;
  const auto given = normalized(claims.url);
  if (!given || given != normalized(request.url)) return DpopRefusal::WrongUrl;
  const std::int64_t seconds = base::to_unix_seconds(now);
  if (claims.issued_at > seconds + kClockLeeway.count() ||
      claims.issued_at < seconds - (kProofAge + kClockLeeway).count()) {
    return DpopRefusal::WrongTime;
  }
  const std::string hash =
      request.access_token.empty() ? std::string() : access_token_hash(request.access_token);
  if (claims.access_token_hash != hash) return DpopRefusal::WrongToken;
  return std::nullopt;
}

std::int64_t minute_of(base::SteadyTime now) {
  return std::chrono::floor<std::chrono::minutes>(now.time_since_epoch()).count();
}

}  // namespace

Result<std::string> make_dpop_proof(const crypto::PrivateKey& key, const DpopRequest& request,
                                    std::string_view nonce, base::WallTime now) {
  std::array<std::uint8_t, 16> id{};
  base::random_bytes(id);
  Json claims = {{"jti", base::to_base64url(id)},
                 {"htm", request.method},
                 {"htu", request.url.substr(0, request.url.find_first_of("?#"))},
                 {"iat", base::to_unix_seconds(now)}};
  if (!nonce.empty()) claims["nonce"] = nonce;
  if (!request.access_token.empty()) claims["ath"] = access_token_hash(request.access_token);
  return crypto::sign_jws({.type = std::string(kType), .embed_key = true},
                          claims.dump(-1, ' ', false, Json::error_handler_t::replace), key);
}

std::string_view name(DpopRefusal refusal) {
  switch (refusal) {
    case DpopRefusal::Malformed:
      return "malformed";
    case DpopRefusal::UseNonce:
      return "use_nonce";
    case DpopRefusal::BadSignature:
      return "bad_signature";
    case DpopRefusal::WrongMethod:
      return "wrong_method";
    case DpopRefusal::WrongUrl:
      return "wrong_url";
    case DpopRefusal::WrongTime:
      return "wrong_time";
    case DpopRefusal::WrongToken:
      return "wrong_token";
    case DpopRefusal::Replayed:
      return "replayed";
    case DpopRefusal::Busy:
      return "busy";
  }
  return "unknown";
}

std::string_view description(DpopRefusal refusal) {
  switch (refusal) {
    case DpopRefusal::Malformed:
      return "The field DPoP holds no proof of the kind that is needed here.";
    case DpopRefusal::UseNonce:
      return "The proof needs the nonce of the field DPoP-Nonce.";
    case DpopRefusal::BadSignature:
      return "The proof is not signed by the key inside it.";
    case DpopRefusal::WrongMethod:
      return "The proof is for another method.";
    case DpopRefusal::WrongUrl:
      return "The proof is for another address.";
    case DpopRefusal::WrongTime:
      return "The proof's time is too far from the site's; check the clock.";
    case DpopRefusal::WrongToken:
      return "The proof is for another token.";
    case DpopRefusal::Replayed:
      return "The proof was used before.";
    case DpopRefusal::Busy:
      return "The site is too busy to check the proof; try again in a minute.";
  }
  return "The proof is refused.";
}

std::size_t DpopVerifier::ProofIdHash::operator()(const ProofId& id) const {
  std::size_t hash = 0;  // the id is a digest already
  std::memcpy(&hash, id.data(), sizeof hash);
  return hash;
}

DpopVerifier::DpopVerifier(std::size_t replay_capacity) : replay_capacity_(replay_capacity) {
  base::random_bytes(secret_);
}

std::string DpopVerifier::nonce_of(std::int64_t minute) const {
  const auto digest = crypto::hmac_sha256(base::as_text(secret_), std::to_string(minute));
  return base::to_base64url(std::span(digest).first(18));
}

std::string DpopVerifier::nonce(base::SteadyTime now) const {
  return nonce_of(minute_of(now));
}

std::expected<DpopProof, DpopRefusal> DpopVerifier::verify(std::string_view proof,
                                                           const DpopRequest& request,
                                                           base::WallTime now,
                                                           base::SteadyTime steady_now) {
  const auto jws = crypto::parse_jws(proof, {.type = kType, .size_limit = kProofLimit});
  if (!jws || jws->embedded_jwk.empty()) return std::unexpected(DpopRefusal::Malformed);
  const auto claims = read_claims(jws->payload);
  if (!claims) return std::unexpected(DpopRefusal::Malformed);
  const std::int64_t minute = minute_of(steady_now);
  if (!base::equals_in_constant_time(claims->nonce, nonce_of(minute)) &&
      !base::equals_in_constant_time(claims->nonce, nonce_of(minute - 1))) {
    return std::unexpected(DpopRefusal::UseNonce);
  }
  if (const auto mismatch = find_mismatch(*claims, request, now)) {
    return std::unexpected(*mismatch);
  }
  auto key = crypto::PublicKey::from_jwk(jws->embedded_jwk);
  if (!key) return std::unexpected(DpopRefusal::Malformed);
  if (!crypto::verify_jws(*jws, *key)) return std::unexpected(DpopRefusal::BadSignature);
  auto thumbprint = key->thumbprint();
  if (!thumbprint) return std::unexpected(DpopRefusal::Malformed);
  const auto digest = crypto::sha256(*thumbprint + "." + claims->id);
  ProofId id{};
  std::memcpy(id.data(), digest.data(), id.size());
  if (const auto fresh = remember(id, minute); !fresh) return std::unexpected(fresh.error());
  return DpopProof{.key = std::move(*key), .key_thumbprint = std::move(*thumbprint)};
}

std::expected<void, DpopRefusal> DpopVerifier::remember(const ProofId& id, std::int64_t minute) {
  const std::lock_guard lock(mutex_);
  if (minute > minute_) {
    if (minute == minute_ + 1) {
      last_minute_.swap(this_minute_);
    } else {
      last_minute_.clear();
    }
    this_minute_.clear();
    minute_ = minute;
  }
  if (this_minute_.contains(id) || last_minute_.contains(id)) {
    return std::unexpected(DpopRefusal::Replayed);
  }
  if (this_minute_.size() + last_minute_.size() >= replay_capacity_) {
    return std::unexpected(DpopRefusal::Busy);
  }
  this_minute_.insert(id);
  return {};
}

}  // namespace larder::token
