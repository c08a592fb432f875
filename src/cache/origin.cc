#include "cache/origin.h"

#include <string_view>

namespace larder::cache {

namespace {

constexpr std::string_view kRefusedByCap = "upstream_rate admits no further download now";

}  // namespace

base::Error refused_by_cap() {
  return {base::ErrorCode::ResourceExhausted, std::string(kRefusedByCap)};
}

bool is_refused_by_cap(const base::Error& error) {
  return error.code == base::ErrorCode::ResourceExhausted && error.message == kRefusedByCap;
}

}  // namespace larder::cache
