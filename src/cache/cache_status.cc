#include "cache/cache_status.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <variant>

#include "http/forwarding.h"
#include "http/structured_field.h"

namespace larder::cache {

namespace {

std::string_view forward_text(Forwarded forwarded) {
  switch (forwarded) {
    case Forwarded::No:
      return "; hit";
    case Forwarded::Bypass:
      return "; fwd=bypass";
    case Forwarded::Method:
      return "; fwd=method";
    case Forwarded::UriMiss:
      return "; fwd=uri-miss";
    case Forwarded::VaryMiss:
      return "; fwd=vary-miss";
    case Forwarded::Miss:
      return "; fwd=miss";
    case Forwarded::Request:
      return "; fwd=request";
    case Forwarded::Stale:
      return "; fwd=stale";
    case Forwarded::Partial:
      return "; fwd=partial";
  }
  return {};
}

// Appends a parameter whole or not at all.
class Line {
 public:
  explicit Line(std::span<char> buffer) : buffer_(buffer) {}

  void add(std::string_view name, std::string_view value = {}, std::string_view end = {}) {
    if (name.size() + value.size() + end.size() > buffer_.size() - length_) return;
    for (const std::string_view part : {name, value, end}) {
      std::copy(part.begin(), part.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(length_));
      length_ += part.size();
    }
  }
  void add(std::string_view name, std::int64_t value) {
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    add(name, std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
  }
  std::string_view text() const { return {buffer_.data(), length_}; }

 private:
  std::span<char> buffer_;
  std::size_t length_ = 0;
};

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

}  // namespace

std::string_view write_cache_status(std::span<char> buffer, const CacheStatus& status) {
  Line line(buffer);
  line.add("larder");
  line.add(forward_text(status.forwarded));
  if (status.forward_status) line.add("; fwd-status=", std::int64_t{*status.forward_status});
  if (status.time_to_live) line.add("; ttl=", std::int64_t{status.time_to_live->count()});
  if (status.stored) line.add("; stored");
  if (status.collapsed) line.add("; collapsed");
  if (!status.detail.empty() && is_plain(status.detail)) {
    line.add("; detail=\"", status.detail, "\"");
  }
  return line.text();
}

std::string upstream_cache_status(const http::ResponseHead& response) {
  std::string all;
  for (const http::ResponseField& field : response.fields) {
    if (field.id != http::FieldName::CacheStatus || field.value.empty()) continue;
    if (all.size() + field.value.size() > kLongestUpstreamStatus) return {};
    all.append(all.empty() ? "" : ", ").append(field.value);
  }
  if (all.empty() || http::is_for_next_hop(response, "Cache-Status")) return {};
  const auto caches = http::parse_structured_list(all);
  if (!caches) return {};
  std::string kept;
  for (const http::StructuredElement& cache : *caches) {
    if (!std::holds_alternative<std::string_view>(cache.value) &&
        !std::holds_alternative<http::StructuredToken>(cache.value)) {
      return {};
    }
    kept.append(kept.empty() ? "" : ", ").append(cache.text);
    for (const http::StructuredParameter& parameter : cache.parameters) {
      if (parameter.name != "key") kept.append("; ").append(parameter.text);
    }
  }
  if (kept.size() > kLongestUpstreamStatus) return {};
  return kept;
}

bool is_loop_answer(const http::ResponseHead& response) {
  if (response.status != 502) return false;
  const std::string detail = "; detail=\"" + std::string(kLoopDetail) + "\"";
  return nearest_cache_status(response.field("Cache-Status")).find(detail) !=
         std::string_view::npos;
}

std::string_view nearest_cache_status(std::string_view text) {
  const auto caches = http::parse_structured_list(text);
  if (!caches || caches->empty()) return {};
  return text.substr(static_cast<std::size_t>(caches->back().text.data() - text.data()));
}

}  // namespace larder::cache
