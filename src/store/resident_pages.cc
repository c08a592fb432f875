#include "store/resident_pages.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#ifndef SYS_cachestat
#define SYS_cachestat 451  // on all architectures
#endif

namespace larder::store {

namespace {

constexpr std::uint64_t kBlock = 1 << 20;
// Blocks that a thread remembers, 4 GiB of them; a newer one takes the place of an older.
constexpr std::size_t kRemembered = 4096;

std::uint64_t page_size() {
  static const auto size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// By address: should another file be mapped at the same place meanwhile, its blocks are only
// counted too soon.
struct Remembered {
  std::uintptr_t block = 0;
  base::SteadyTime until{};
};

Remembered& remembered(std::uintptr_t block) {
  thread_local std::array<Remembered, kRemembered> table{};
  return table[block / kBlock % kRemembered];
}

enum class Presence { All, NotAll, Unknown };

// Linux include/uapi/linux/mman.h: struct cachestat_range and struct cachestat.
Presence count_pages(const MappedBytes& file, ByteRange range) {
  struct {
    std::uint64_t offset, length;
  } const asked{range.begin, range.end - range.begin};
  struct {
    std::uint64_t cached, dirty, written_back, evicted, recently_evicted;
  } counted{};
  if (::syscall(SYS_cachestat, file.fd, &asked, &counted, 0) != 0) return Presence::Unknown;
  const std::uint64_t pages = (range.end - 1) / page_size() - range.begin / page_size() + 1;
  return counted.cached == pages ? Presence::All : Presence::NotAll;
}

bool look(const MappedBytes& file, ByteRange range) {
  std::array<unsigned char, 1024> pages{};
  for (std::uint64_t at = range.begin / page_size() * page_size(); at < range.end;) {
    const std::uint64_t count =
        std::min<std::uint64_t>(pages.size(), (range.end - at + page_size() - 1) / page_size());
    // mincore wants a non-const address but only asks about it.
    auto* address = const_cast<std::uint8_t*>(file.base + at);
    if (::mincore(address, count * page_size(), pages.data()) != 0) return false;
    if (!std::all_of(pages.begin(), pages.begin() + static_cast<std::ptrdiff_t>(count),
                     [](unsigned char state) { return (state & 1) != 0; })) {
      return false;
    }
    at += count * page_size();
  }
  return true;
}

// The part of one block that is asked for; `presence` is what counting the range has shown.
bool is_whole(const MappedBytes& file, ByteRange piece, ByteRange bounds, Presence presence,
              base::SteadyTime now) {
  const std::uint64_t begin = piece.begin / kBlock * kBlock;
  const ByteRange block{begin, begin + kBlock};
  if (presence == Presence::Unknown || block.begin < bounds.begin || block.end > bounds.end) {
    return look(file, piece);
  }
  const auto address = reinterpret_cast<std::uintptr_t>(file.base + block.begin);
  Remembered& one = remembered(address);
  if (one.block == address && now < one.until) return true;
  // A look at the rest of the block is repaid by the next request for it.
  if (piece.end - piece.begin < kBlock / 2 || !look(file, block)) return look(file, piece);
  one = {.block = address, .until = now + kWholeRemembered};
  return true;
}

}  // namespace

bool is_in_memory(const MappedBytes& file, ByteRange range, ByteRange bounds,
                  base::SteadyTime now) {
  if (range.begin == range.end) return true;
  const Presence presence = count_pages(file, range);
  if (presence == Presence::NotAll) return false;
  while (range.begin < range.end) {
    const std::uint64_t end = std::min(range.end, range.begin / kBlock * kBlock + kBlock);
    if (!is_whole(file, {range.begin, end}, bounds, presence, now)) return false;
    range.begin = end;
  }
  return true;
}

}  // namespace larder::store
