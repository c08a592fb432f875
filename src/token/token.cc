#include "token/token.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"
#include "crypto/jws.h"

namespace larder::token {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;

namespace {

constexpr std::string_view kClientType = "larder-client+jwt";
constexpr std::string_view kContentType = "at+jwt";
constexpr const char* kClientAudience = "management-point";
constexpr const char* kContentAudience = "content";
constexpr const char* kContentScope = "content";
constexpr std::size_t kTokenLimit = 4 * 1024;
constexpr std::size_t kTextLimit = 512;  // of one claim, bytes
// 9999-12-31: beyond it dates no longer have a text, and sums stay far from overflow.
constexpr std::int64_t kLatestSecond = 253'402'300'799;

// The signed members, after the signature was found right.
Reading<Json> read_signed(std::string_view text, std::string_view type, const FindKey& find_key,
                          std::string* key_id) {
  const auto jws = crypto::parse_jws(text, {.type = type, .size_limit = kTokenLimit});
  if (!jws || jws->key_id.empty()) return std::unexpected(Refusal::Malformed);
  const crypto::PublicKey* key = find_key(jws->key_id);
  if (key == nullptr) return std::unexpected(Refusal::UnknownKey);
  if (!crypto::verify_jws(*jws, *key)) return std::unexpected(Refusal::BadSignature);
  auto claims = base::parse_json(jws->payload);
  if (!claims || !claims->is_object()) return std::unexpected(Refusal::Malformed);
  if (key_id != nullptr) *key_id = jws->key_id;
  return std::move(*claims);
}

Reading<std::string> text_claim(const Json& claims, const char* name) {
  auto text = base::json_string(claims, name);
  if (!text || text->empty() || text->size() > kTextLimit) {
    return std::unexpected(Refusal::Malformed);
  }
  return std::move(*text);
}

Reading<base::WallTime> time_claim(const Json& claims, const char* name) {
  const auto seconds = base::json_integer(claims, name);
  if (!seconds || *seconds < 0 || *seconds > kLatestSecond) {
    return std::unexpected(Refusal::Malformed);
  }
  return base::from_unix_seconds(*seconds);
}

Reading<std::string> confirmation(const Json& claims, const char* method) {
  const auto cnf = claims.find("cnf");
  if (cnf == claims.end() || !cnf->is_object()) return std::unexpected(Refusal::Malformed);
  return text_claim(*cnf, method);
}

// The claims that both kinds share.
template <typename Claims>
Reading<void> read_common(const Json& json, const char* audience, Claims& claims) {
  auto issuer = text_claim(json, "iss");
  auto client_id = text_claim(json, "sub");
  auto token_id = text_claim(json, "jti");
  const auto stated_audience = text_claim(json, "aud");
  const auto issued_at = time_claim(json, "iat");
  const auto expires_at = time_claim(json, "exp");
  if (!issuer || !client_id || !token_id || !stated_audience || !issued_at || !expires_at) {
    return std::unexpected(Refusal::Malformed);
  }
  if (*stated_audience != audience) return std::unexpected(Refusal::WrongAudience);
  claims.issuer = std::move(*issuer);
  claims.client_id = std::move(*client_id);
  claims.token_id = std::move(*token_id);
  claims.issued_at = *issued_at;
  claims.expires_at = *expires_at;
  return {};
}

template <typename Claims>
Reading<void> check_common(const Claims& claims, std::string_view issuer,
                           std::chrono::seconds lifetime, base::WallTime now) {
  if (claims.issuer != issuer) return std::unexpected(Refusal::WrongIssuer);
  if (claims.expires_at <= claims.issued_at) return std::unexpected(Refusal::Malformed);
  if (claims.expires_at - claims.issued_at > lifetime) {
    return std::unexpected(Refusal::TooLongLived);
  }
  if (claims.issued_at > now + kLeeway) return std::unexpected(Refusal::NotYetValid);
  if (claims.expires_at + kLeeway <= now) return std::unexpected(Refusal::Expired);
  return {};
}

template <typename Claims>
Json common_json(const Claims& claims, const char* audience) {
  return {{"iss", claims.issuer},
          {"sub", claims.client_id},
          {"aud", audience},
          {"iat", base::to_unix_seconds(claims.issued_at)},
          {"exp", base::to_unix_seconds(claims.expires_at)},
          {"jti", claims.token_id}};
}

std::string print(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string_view name(Refusal refusal) {
  switch (refusal) {
    case Refusal::Malformed:
      return "malformed";
    case Refusal::UnknownKey:
      return "unknown_key";
    case Refusal::BadSignature:
      return "bad_signature";
    case Refusal::WrongIssuer:
      return "wrong_issuer";
    case Refusal::WrongAudience:
      return "wrong_audience";
    case Refusal::NotYetValid:
      return "not_yet_valid";
    case Refusal::Expired:
      return "expired";
    case Refusal::TooLongLived:
      return "too_long_lived";
    case Refusal::WrongKey:
      return "wrong_key";
    case Refusal::WrongCertificate:
      return "wrong_certificate";
  }
  return "unknown";
}

std::string_view description(Refusal refusal) {
  switch (refusal) {
    case Refusal::Malformed:
      return "The token is not of the kind that is needed here.";
    case Refusal::UnknownKey:
      return "The token is signed by a key that this site does not use.";
    case Refusal::BadSignature:
      return "The token's signature is wrong.";
    case Refusal::WrongIssuer:
      return "The token is from another site.";
    case Refusal::WrongAudience:
      return "The token is for another purpose.";
    case Refusal::NotYetValid:
      return "The token is not valid yet; check the clock.";
    case Refusal::Expired:
      return "The token has expired.";
    case Refusal::TooLongLived:
      return "The token lives longer than is allowed.";
    case Refusal::WrongKey:
      return "The token is bound to another key.";
    case Refusal::WrongCertificate:
      return "The token is bound to another client certificate.";
  }
  return "The token is refused.";
}

Result<TokenSigner> TokenSigner::create(crypto::PrivateKey key) {
  if (key.public_key().type() != crypto::KeyType::EcP256) {
    return fail(ErrorCode::InvalidArgument, "tokens are signed with an EC P-256 key");
  }
  auto key_id = key.public_key().thumbprint();
  if (!key_id) return std::unexpected(key_id.error());
  return TokenSigner(std::move(key), std::move(*key_id));
}

Result<std::string> TokenSigner::sign(const ClientClaims& claims) const {
  Json json = common_json(claims, kClientAudience);
  json["cnf"] = {{"jkt", claims.key_thumbprint}};
  return crypto::sign_jws({.type = std::string(kClientType), .key_id = key_id_}, print(json), key_);
}

Result<std::string> TokenSigner::sign(const ContentClaims& claims) const {
  Json json = common_json(claims, kContentAudience);
  json["client_id"] = claims.client_id;
  json["scope"] = kContentScope;
  json["cnf"] = {{"x5t#S256", base::to_base64url(claims.certificate_sha256)}};
  return crypto::sign_jws({.type = std::string(kContentType), .key_id = key_id_}, print(json),
                          key_);
}

Reading<ClientClaims> read_client_token(std::string_view text, const FindKey& find_key,
                                        std::string* key_id) {
  const auto json = read_signed(text, kClientType, find_key, key_id);
  if (!json) return std::unexpected(json.error());
  ClientClaims claims;
  if (const auto common = read_common(*json, kClientAudience, claims); !common) {
    return std::unexpected(common.error());
  }
  auto thumbprint = confirmation(*json, "jkt");
  if (!thumbprint) return std::unexpected(thumbprint.error());
  claims.key_thumbprint = std::move(*thumbprint);
  return claims;
}

Reading<ContentClaims> read_content_token(std::string_view text, const FindKey& find_key,
                                          std::string* key_id) {
  const auto json = read_signed(text, kContentType, find_key, key_id);
  if (!json) return std::unexpected(json.error());
  ContentClaims claims;
  if (const auto common = read_common(*json, kContentAudience, claims); !common) {
    return std::unexpected(common.error());
  }
  const auto scope = text_claim(*json, "scope");
  const auto client_id = text_claim(*json, "client_id");
  if (!scope || !client_id || *client_id != claims.client_id) {
    return std::unexpected(Refusal::Malformed);
  }
  if (*scope != kContentScope) return std::unexpected(Refusal::WrongAudience);
  const auto thumbprint = confirmation(*json, "x5t#S256");
  if (!thumbprint) return std::unexpected(thumbprint.error());
  const auto digest = base::from_base64url(*thumbprint);
  if (!digest || digest->size() != claims.certificate_sha256.size()) {
    return std::unexpected(Refusal::Malformed);
  }
  std::ranges::copy(base::as_bytes(*digest), claims.certificate_sha256.begin());
  return claims;
}

Reading<void> check(const ClientClaims& claims, std::string_view issuer,
                    std::string_view key_thumbprint, base::WallTime now) {
  if (const auto common = check_common(claims, issuer, kClientTokenLifetime, now); !common) {
    return common;
  }
  if (claims.key_thumbprint != key_thumbprint) return std::unexpected(Refusal::WrongKey);
  return {};
}

Reading<void> check(const ContentClaims& claims, std::string_view issuer,
                    const crypto::Sha256Digest& certificate_sha256, base::WallTime now) {
  if (const auto common = check_common(claims, issuer, kContentTokenLifetime, now); !common) {
    return common;
  }
  if (claims.certificate_sha256 != certificate_sha256) {
    return std::unexpected(Refusal::WrongCertificate);
  }
  return {};
}

Reading<ClientClaims> verify_client_token(std::string_view text, const FindKey& find_key,
                                          std::string_view issuer, std::string_view key_thumbprint,
                                          base::WallTime now) {
  auto claims = read_client_token(text, find_key);
  if (!claims) return claims;
  if (const auto checked = check(*claims, issuer, key_thumbprint, now); !checked) {
    return std::unexpected(checked.error());
  }
  return claims;
}

Reading<ContentClaims> verify_content_token(std::string_view text, const FindKey& find_key,
                                            std::string_view issuer,
                                            const crypto::Sha256Digest& certificate_sha256,
                                            base::WallTime now) {
  auto claims = read_content_token(text, find_key);
  if (!claims) return claims;
  if (const auto checked = check(*claims, issuer, certificate_sha256, now); !checked) {
    return std::unexpected(checked.error());
  }
  return claims;
}

}  // namespace larder::token
