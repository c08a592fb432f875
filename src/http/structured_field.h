// Dictionaries of structured field values (RFC 8941), as far as fields that we read need them:
// whole syntax, while inner lists and parameters are checked and then dropped.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

namespace larder::http {

// Of types that no field of ours has: decimals, byte sequences, inner lists.
struct StructuredOther {
  bool operator==(const StructuredOther&) const = default;
};
// Booleans, integers, strings (without quotes, escapes as they stand) and tokens.
struct StructuredToken {
  std::string_view text;
  bool operator==(const StructuredToken&) const = default;
};
using StructuredItem =
    std::variant<StructuredOther, bool, std::int64_t, std::string_view, StructuredToken>;

struct StructuredMember {
  std::string_view name;
  StructuredItem value;
};

inline constexpr std::size_t kMostStructuredMembers = 64;

// The members of a dictionary in order, a repeated name with its last value. Views point into
// `text`. Nothing when the text is no dictionary or has more than kMostStructuredMembers members.
std::optional<std::vector<StructuredMember>> parse_structured_dictionary(std::string_view text);

}  // namespace larder::http
