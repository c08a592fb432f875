// The field names that Larder treats specially, as small numbers: the parser recognises them once,
// everything later compares numbers. All other names are FieldName::Other and compared as text.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder::http {

// At most 64, because heads keep a 64-bit set of the names they contain. In memory only: stored
// records keep names as text.
enum class FieldName : std::uint8_t {
  Other,
  AcceptRanges,
  Age,
  AltSvc,
  Authorization,
  CacheControl,
  CacheStatus,
  CdnCacheControl,
  CdnLoop,
  ClearSiteData,
  Connection,
  ContentEncoding,
  ContentLength,
  ContentLocation,
  ContentRange,
  ContentType,
  Cookie,
  Date,
  Dpop,
  ETag,
  Expect,
  Expires,
  Forwarded,
  Host,
  IfMatch,
  IfModifiedSince,
  IfNoneMatch,
  IfRange,
  IfUnmodifiedSince,
  KeepAlive,
  LastModified,
  Location,
  MaxForwards,
  Pragma,
  ProxyAuthenticate,
  ProxyAuthenticationInfo,
  ProxyAuthorization,
  ProxyConnection,
  Range,
  RetryAfter,
  Server,
  ServiceWorkerAllowed,
  SetCookie,
  StrictTransportSecurity,
  Te,
  Trailer,
  TransferEncoding,
  Upgrade,
  UserAgent,
  Vary,
  Via,
  WwwAuthenticate,
};
inline constexpr std::size_t kFieldNameCount = 52;

// In any case; Other when it is none of them.
FieldName find_field_name(std::string_view name);

// "Content-Length", "ETag": as open clients expect them to be spelt. Empty for Other.
std::string_view canonical_text(FieldName name);

constexpr std::uint64_t bit(FieldName name) {
  return std::uint64_t{1} << static_cast<unsigned>(name);
}

}  // namespace larder::http
