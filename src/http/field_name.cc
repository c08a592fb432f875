#include "http/field_name.h"

#include <array>

#include "http/characters.h"

namespace larder::http {

namespace {

constexpr std::array<std::string_view, kFieldNameCount> kTexts = {
    "",
    "Accept-Ranges",
    "Age",
    "Alt-Svc",
    "Authorization",
    "Cache-Control",
    "Cache-Status",
    "CDN-Cache-Control",
    "CDN-Loop",
    "Clear-Site-Data",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Location",
    "Content-Range",
    "Content-Type",
    "Cookie",
    "Date",
    "DPoP",
    "ETag",
    "Expect",
    "Expires",
    "Forwarded",
    "Host",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Keep-Alive",
    "Last-Modified",
    "Location",
    "Max-Forwards",
    "Pragma",
    "Proxy-Authenticate",
    "Proxy-Authentication-Info",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Range",
    "Retry-After",
    "Server",
    "Service-Worker-Allowed",
    "Set-Cookie",
    "Strict-Transport-Security",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "User-Agent",
    "Vary",
    "Via",
    "WWW-Authenticate",
};
static_assert(static_cast<std::size_t>(FieldName::WwwAuthenticate) + 1 == kFieldNameCount);
static_assert(kFieldNameCount <= 64);

struct Weights {
  unsigned first;
  unsigned middle;
  unsigned last;
};

// OR-ing 0x20 lower-cases letters and keeps '-'; a wrong slot only costs the comparison after it.
constexpr unsigned slot_of(std::string_view name, Weights weights) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(name[i]) | 0x20u; };
  return (static_cast<unsigned>(name.size()) + weights.first * at(0) +
          weights.middle * at(name.size() / 2) + weights.last * at(name.size() - 1)) &
         255u;
}

struct Table {
  Weights weights{};
  std::array<std::uint8_t, 256> slots{};
};

constexpr bool fill(Table& table) {
  table.slots = {};
  for (std::size_t i = 1; i < kTexts.size(); ++i) {
    std::uint8_t& slot = table.slots[slot_of(kTexts[i], table.weights)];
    if (slot != 0) return false;
    slot = static_cast<std::uint8_t>(i);
  }
  return true;
}

// Looks for weights that put every name into its own slot, so that a look-up is one comparison.
constexpr Table make_table() {
  Table table;
  for (unsigned first = 1; first < 64; ++first) {
    for (unsigned middle = 1; middle < 64; ++middle) {
      table.weights = {first, middle, first + 2 * middle};
      if (fill(table)) return table;
    }
  }
  return Table{};
}

constexpr Table kTable = make_table();
static_assert(kTable.weights.first != 0, "no weights separate the names: widen the search");

}  // namespace

FieldName find_field_name(std::string_view name) {
  if (name.empty()) return FieldName::Other;
  const std::uint8_t index = kTable.slots[slot_of(name, kTable.weights)];
  if (index == 0 || !same_ignoring_case(name, kTexts[index])) return FieldName::Other;
  return static_cast<FieldName>(index);
}

std::string_view canonical_text(FieldName name) {
  return kTexts[static_cast<std::size_t>(name)];
}

}  // namespace larder::http
