// Cache-Control of requests and responses (RFC 9111 section 5.2), and Age.
//
// Where fields contradict themselves the reading is the one that caches less: repeated different
// ages count as 0, a malformed line is reported, and a qualified directive that cannot be read is
// taken as the unqualified one.
//
// A CacheControl points into the fields that it was read from.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

namespace larder::http {

// Seconds are capped at 2^31 (RFC 9111 section 1.2.2).
struct CacheControl {
  bool no_store = false;
  bool no_cache = false;
  bool is_private = false;
  // no-cache="Field, ..." and private="Field, ...": what a shared cache leaves out of what it
  // keeps. Each is a list of names, without its quotes. Either directive without a list wins over
  // this.
  std::vector<std::string_view> withheld_fields;
  bool is_public = false;
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool no_transform = false;
  bool only_if_cached = false;
  bool must_understand = false;
  bool immutable = false;
  std::optional<std::chrono::seconds> max_age;
  std::optional<std::chrono::seconds> s_maxage;
  std::optional<std::chrono::seconds> min_fresh;
  std::optional<std::chrono::seconds> max_stale;  // without a value: the cap, any staleness
  std::optional<std::chrono::seconds> stale_while_revalidate;
  std::optional<std::chrono::seconds> stale_if_error;
  bool malformed = false;  // some line is not a list of directives

  // Adds the directives of one field line. Call it for every line of the field.
  void add(std::string_view field_value);
  // Whether a list of withheld_fields names this field.
  bool withholds(std::string_view field_name) const;
};

// CDN-Cache-Control and other targeted fields are dictionaries of structured values (RFC 9213
// section 2.1). `field_value` is all lines joined by ", ". Nothing when it is empty, no dictionary,
// or gives a directive that we know a value of another type: such a field counts as absent.
std::optional<CacheControl> parse_targeted_cache_control(std::string_view field_value);

inline constexpr std::chrono::seconds kLongestDelta{1LL << 31};

// delta-seconds: digits, capped. Nothing for anything else.
std::optional<std::chrono::seconds> parse_delta_seconds(std::string_view text);

// Of a list of ages the first counts; one that is no number is ignored (RFC 9111 section 5.1).
std::optional<std::chrono::seconds> parse_age(std::string_view field_value);

}  // namespace larder::http
