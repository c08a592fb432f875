// Whether bytes of a file are in memory, so that sending them does not wait for a drive.
//
// Two looks of the kernel: cachestat (Linux 6.5) counts the pages that the cache has in under a
// microsecond for each MiB, but counts also those that are still being read; mincore knows only
// whole ones and takes forty times as long, a tenth of what sending the bytes takes. So each thread
// remembers for a minute which blocks it found whole, and only counts them then. What remains is a
// page that was taken back and is being read again at this very moment: who sends it waits for
// that read.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace larder::store {

// A file, mapped from its first byte on.
struct MappedBytes {
  int fd = -1;
  const std::uint8_t* base = nullptr;
};

struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

inline constexpr std::chrono::seconds kWholeRemembered{60};

// `range` lies in `bounds`, and that in the file; the rest of a block of which much is asked for is
// looked at too, within the bounds. False also when the kernel refuses to tell.
bool is_in_memory(const MappedBytes& file, ByteRange range, ByteRange bounds, base::SteadyTime now);

}  // namespace larder::store
