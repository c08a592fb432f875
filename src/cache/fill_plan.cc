#include "cache/fill_plan.h"

#include <algorithm>
#include <utility>

namespace larder::cache {

namespace {

struct Candidate {
  std::uint32_t distance;  // slices between the reader and the first of the run
  FetchRun run;
};

// Wants in order, each cut before the next one begins: no slice belongs to two.
std::vector<Want> make_segments(std::span<const Want> wants, std::uint32_t slice_count) {
  std::vector<Want> sorted(wants.begin(), wants.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const Want& left, const Want& right) { return left.at < right.at; });
  std::vector<Want> segments;
  std::uint32_t reach = 0;
  for (const Want& want : sorted) {
    if (want.at >= slice_count) break;
    reach = std::max(reach, std::min(want.last, slice_count - 1));
    if (!segments.empty() && segments.back().at == want.at) {
      segments.back().last = reach;
      continue;
    }
    if (!segments.empty()) segments.back().last = std::min(segments.back().last, want.at - 1);
    segments.push_back({want.at, reach});
  }
  return segments;
}

}  // namespace

std::vector<FetchRun> plan_fetches(const PlanInput& input) {
  std::vector<Candidate> candidates;
  for (const Want& segment : make_segments(input.wants, input.slice_count)) {
    std::uint32_t next = segment.at;
    if (!input.comes_soon(segment.at)) {
      std::uint32_t last = segment.at;
      while (last < segment.last && last - segment.at + 1 < input.chunk &&
             !input.comes_soon(last + 1)) {
        ++last;
      }
      candidates.push_back({0, {segment.at, last}});
      next = last + 1;
    }
    std::uint64_t found = 0;
    while (next <= segment.last && found < input.room) {
      if (input.comes(next)) {
        ++next;
        continue;
      }
      std::uint32_t last = next;
      while (last < segment.last && last - next + 1 < input.chunk && !input.comes(last + 1)) ++last;
      candidates.push_back({next - segment.at, {next, last}});
      found += last - next + 1;
      next = last + 1;
    }
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& left, const Candidate& right) {
              return std::pair(left.distance, left.run.first) <
                     std::pair(right.distance, right.run.first);
            });
  std::vector<FetchRun> runs;
  std::uint64_t room = input.room;
  for (const Candidate& candidate : candidates) {
    if (runs.size() == input.fetches) break;
    if (candidate.distance > 0 && room == 0) break;
    FetchRun run = candidate.run;
    const std::uint64_t allowed = std::max<std::uint64_t>(room, 1);
    if (run.last - run.first + 1 > allowed) {
      run.last = run.first + static_cast<std::uint32_t>(allowed) - 1;
    }
    runs.push_back(run);
    room -= std::min<std::uint64_t>(room, run.last - run.first + 1);
  }
  return runs;
}

}  // namespace larder::cache
