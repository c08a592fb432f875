// What the first request to an origin asks for, of an object of which nothing is known. Pure.
#pragma once

#include <optional>

#include "cache/fill.h"
#include "http/range.h"

namespace larder::node {

struct FirstSlices {
  std::optional<cache::SliceRange> slices{};  // nothing: the whole
  bool or_whole = false;                      // which is asked for where the slices are not served
};
// Of several ranges, the earliest (http::parse_earliest_range).
FirstSlices first_slices(const http::RangeRequest& range);

}  // namespace larder::node
