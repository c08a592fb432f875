// JSON, strictly: duplicate member names are refused (RFC 8259 section 4 leaves them open, and two
// readers of one token must never disagree), nesting is bounded, and the whole text must be one
// value. Include <nlohmann/json.hpp> only in .cc files that build or read values; it is costly.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace larder::base {

using Json = nlohmann::json;

Result<Json> parse_json(std::string_view text, std::size_t depth_limit = 8);
// A file of this program's own: FailedPrecondition unless its "format" is this one.
Result<Json> parse_json_of_format(std::string_view text, std::int64_t format);

// Readers of object members; the message of the error names the member.
Result<std::string> json_string(const Json& object, const char* name);
Result<std::int64_t> json_integer(const Json& object, const char* name);
Result<WallTime> json_time(const Json& object, const char* name);  // RFC 3339
// Absent is false.
Result<bool> json_flag(const Json& object, const char* name);
// Absent gives `fallback`; present with another type is an error.
Result<std::string> json_string_or(const Json& object, const char* name, std::string_view fallback);

}  // namespace larder::base
