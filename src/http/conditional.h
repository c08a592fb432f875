// Validators and conditional requests (RFC 9110 sections 8.8 and 13).
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.h"
#include "http/request_head.h"

namespace larder::http {

struct EntityTag {
  std::string_view opaque;  // with its quotes
  bool weak = false;
};

std::optional<EntityTag> parse_entity_tag(std::string_view text);
inline bool same_strongly(const EntityTag& a, const EntityTag& b) {
  return !a.weak && !b.weak && a.opaque == b.opaque;
}
inline bool same_weakly(const EntityTag& a, const EntityTag& b) {
  return a.opaque == b.opaque;
}

// RFC 9110 section 8.8.2.2: the representation cannot have changed again within the second that
// Last-Modified names, because the same origin's Date is at least one second later.
bool is_strong_last_modified(std::string_view last_modified, std::string_view date,
                             base::WallTime now);

// Texts of the fields of the representation that would be sent; empty when it has none.
struct Validators {
  std::string_view etag;
  std::string_view last_modified;
};

enum class Precondition {
  Pass,         // answer as if there were no condition
  NotModified,  // 304
  Failed,       // 412
};

// In the order of RFC 9110 section 13.2.2; If-Range is judged apart (if_range_holds). If-Match and
// If-Unmodified-Since are for the origin (RFC 9111 section 4.3.2): a cache either passes
// `as_origin` = false and ignores them, or forwards a request for which they do not hold.
Precondition evaluate_preconditions(const RequestHead& request, const Validators& validators,
                                    bool as_origin, base::WallTime now);

}  // namespace larder::http
