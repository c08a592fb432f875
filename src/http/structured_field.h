// Dictionaries and lists of structured field values (RFC 8941), as far as fields that we read need
// them: whole syntax, while inner lists, and parameters in dictionaries, are checked and then
// dropped.
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

// A member of a list, with texts as they stand: quotes and escapes are still in them.
struct StructuredParameter {
  std::string_view name;
  std::string_view text;  // name and value: "ttl=60", "hit"
};
struct StructuredElement {
  StructuredItem value;
  std::string_view text;
  std::vector<StructuredParameter> parameters;
};

inline constexpr std::size_t kMostStructuredMembers = 64;

// The members of a dictionary in order, a repeated name with its last value. Views point into
// `text`. Nothing when the text is no dictionary or has more than kMostStructuredMembers members.
std::optional<std::vector<StructuredMember>> parse_structured_dictionary(std::string_view text);

// The members of a list in order. Views point into `text`. Nothing when the text is no list or has
// more than kMostStructuredMembers members.
std::optional<std::vector<StructuredElement>> parse_structured_list(std::string_view text);

}  // namespace larder::http
