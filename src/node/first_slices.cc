#include "node/first_slices.h"

namespace larder::node {

using store::kSliceSize;

FirstSlices first_slices(const http::RangeRequest& range) {
  using Kind = http::RangeRequest::Kind;
  constexpr std::uint64_t kEnd = UINT32_MAX / 2;  // further than objects are long
  const std::uint64_t first = range.first / kSliceSize;
  const std::uint64_t last = range.last / kSliceSize;
  switch (range.kind) {
    case Kind::Closed:
      if (last >= kEnd) return {};
      return {{{static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last)}}};
    case Kind::Open:
      if (first == 0 || first >= kEnd) return {};
      return {{{static_cast<std::uint32_t>(first), UINT32_MAX}}, true};
    case Kind::Suffix:
      // Where the end is has to be learnt first.
      return {{{0, 0}}, true};
    case Kind::Absent:
      break;
  }
  return {};
}

}  // namespace larder::node
