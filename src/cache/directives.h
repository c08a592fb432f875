// What the deciding functions of this module share: the directives of a response, and the freshness
// that they give. Internal to src/cache.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "cache/freshness.h"
#include "cache/stored_response.h"
#include "http/cache_control.h"

namespace larder::cache {

using ResponseFields = std::vector<http::ResponseField>;

std::size_t count_fields(const ResponseFields& fields, http::FieldName name);
std::string_view first_field(const ResponseFields& fields, http::FieldName name);

// The directives that count for this cache: CDN-Cache-Control replaces Cache-Control and Expires
// when it is there and can be read (RFC 9213 section 2.2). Points into `fields`.
struct Directives {
  http::CacheControl control;
  bool targeted = false;
};
Directives read_directives(const ResponseFields& fields);

// RFC 9111 section 4.2.1; nothing when the response sets none.
struct ExplicitLifetime {
  std::chrono::seconds lifetime{0};
  std::string_view source;
};
std::optional<ExplicitLifetime> explicit_lifetime(const ResponseFields& fields,
                                                  const Directives& directives, base::WallTime date,
                                                  base::WallTime now);

bool is_heuristically_cacheable(int status);

// `received` are the fields of the message that the times are about; the freshness follows from
// `stored.fields`.
void set_dates(StoredResponse& stored, const ResponseFields& received, ExchangeTimes times);
void set_freshness(StoredResponse& stored, const ResponseFields& received, ExchangeTimes times,
                   const StorePolicy& policy);

// The fields of a response that are kept in `stored`. Cache-Status is what upstream_cache_status()
// makes of it.
ResponseFields kept_fields(const http::ResponseHead& response, const Directives& directives,
                           const StorePolicy& policy);

}  // namespace larder::cache
