// Which slices to fetch next: a pure decision of what readers want and what is on its way.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace larder::cache {

// A reader sends slice `at` now and asked for nothing behind slice `last`.
struct Want {
  std::uint32_t at = 0;
  std::uint32_t last = 0;
};

struct FetchRun {
  std::uint32_t first = 0;
  std::uint32_t last = 0;

  bool operator==(const FetchRun&) const = default;
};

struct PlanInput {
  std::span<const Want> wants;
  std::uint32_t slice_count = 0;
  // Stored, in memory, or on its way so soon that a reader who needs it next can wait for it.
  std::function<bool(std::uint32_t)> comes_soon;
  // The same, or on its way at all.
  std::function<bool(std::uint32_t)> comes;
  std::uint64_t room = 0;   // slices that may be asked for ahead of readers
  std::uint32_t chunk = 1;  // most slices of one fetch; at least 1
  std::size_t fetches = 0;  // that may still be started
};

// Runs to fetch, the most urgent first. A slice that a reader needs right now is fetched even
// without room; everything else lies inside what readers asked for, as near to them as possible.
std::vector<FetchRun> plan_fetches(const PlanInput& input);

}  // namespace larder::cache
