#include "store/room.h"

#include <sys/statvfs.h>

#include <algorithm>

namespace larder::store {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kBelieveAgain = 30 * kSecond;
// What a write that found no space makes way for: a slice and what belongs to it.
constexpr std::uint64_t kStep = 2 * kMiB;

}  // namespace

std::optional<FileSystemSpace> file_system_space(const std::string& path) {
  struct statvfs status{};
  // File systems of programs may have nothing to say.
  if (::statvfs(path.c_str(), &status) != 0 || status.f_blocks == 0) return std::nullopt;
  const std::uint64_t block = status.f_frsize;
  return FileSystemSpace{.total = status.f_blocks * block, .free = status.f_bavail * block};
}

std::uint64_t file_system_reserve(const FileSystemSpace& space) {
  return std::clamp<std::uint64_t>(space.total / 64, kMiB, 1024 * kMiB);
}

void Room::set(std::uint64_t limit) {
  limit_ = limit;
  if (leaves_half_) return;  // nobody asked for that size
  if (limit < size_) is_short_ = true;
}

void Room::measure(const FileSystemSpace& space, std::uint64_t used, std::int64_t now) {
  const std::uint64_t mine = used + space.free;
  const std::uint64_t reserve = file_system_reserve(space);
  std::uint64_t room = mine > reserve ? mine - reserve : 0;
  if (leaves_half_) room = std::min(room, mine / 2);
  const std::uint64_t limit = std::min(size_, room);
  if (!was_measured_) {
    was_measured_ = true;
    set(limit);
    return;
  }
  if (limit < limit_) {
    if (now < lower_after_) return;
    lower_after_ = now + kBelieveAgain;
    set(limit);
  } else if (now >= grow_after_) {
    set(limit);
    if (limit == size_ && room - size_ >= size_ / 64) is_short_ = false;
  }
}

void Room::met_full(std::uint64_t used, std::int64_t now) {
  grow_after_ = now + kBelieveAgain;
  if (now < full_again_after_) return;
  full_again_after_ = now + kSecond;
  lower_after_ = now + kBelieveAgain;
  set(std::min(limit_, used > kStep ? used - kStep : 0));
}

}  // namespace larder::store
