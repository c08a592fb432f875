#include "cache/cache_status.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

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

}  // namespace larder::cache
