#include "store/mapped_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

namespace larder::store {
namespace {

constexpr std::size_t kPlaces = 32768;

// Lost pages of a mapping that are known one by one; when there are more, all of it counts as lost.
constexpr std::uint32_t kKnownPages = 3;

struct Place {
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::uintptr_t> end{0};
  std::atomic<std::uint32_t> lost_pages{0};
  std::array<std::atomic<std::uint32_t>, kKnownPages> known{};  // counted from 1; 0: not yet noted
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

// Read by the signal handler, so plain static memory and atomics only.
constinit std::array<Place, kPlaces> places;
constinit std::atomic<std::size_t> places_in_use_below{0};
struct sigaction previous_action;
std::uintptr_t page_size = 4096;

// Guards the free places and the order of registering; never taken by the handler.
std::mutex places_mutex;
std::vector<std::size_t>& free_places() {
  static std::vector<std::size_t> free;
  return free;
}

Place* find_place(std::uintptr_t address) {
  const std::size_t below = places_in_use_below.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < below; ++i) {
    if (address >= places[i].begin.load(std::memory_order_acquire) &&
        address < places[i].end.load(std::memory_order_acquire)) {
      return &places[i];
    }
  }
  return nullptr;
}

// Before the zeros are there: whoever reads them finds them noted.
void note_lost(Place& place, std::uintptr_t address) {
  const std::uintptr_t page = (address - place.begin.load()) / page_size;
  const std::uint32_t number = place.lost_pages.fetch_add(1);
  if (number < kKnownPages) place.known[number].store(static_cast<std::uint32_t>(page + 1));
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int saved_errno = errno;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  if (Place* place = find_place(address); place != nullptr) {
    note_lost(*place, address);
    void* page = static_cast<char*>(info->si_addr) - address % page_size;
    if (::mmap(page, page_size, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
        page) {
      errno = saved_errno;
      return;
    }
  }
  errno = saved_errno;
  if ((previous_action.sa_flags & SA_SIGINFO) != 0 && previous_action.sa_sigaction != nullptr) {
    previous_action.sa_sigaction(signal, info, context);
    return;
  }
  // Not ours: the instruction runs again and meets the action that was there before.
  ::sigaction(SIGBUS, &previous_action, nullptr);
}

void install_handler() {
  static const bool installed = [] {
    page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    struct sigaction action{};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigemptyset(&action.sa_mask);
    return ::sigaction(SIGBUS, &action, &previous_action) == 0;
  }();
  static_cast<void>(installed);
}

}  // namespace

base::Result<MappedRegion> MappedRegion::map(int fd, std::size_t length) {
  install_handler();
  void* data = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) {
    return base::fail_errno("cannot map a file", errno);
  }
  const std::lock_guard lock(places_mutex);
  std::size_t place = 0;
  if (!free_places().empty()) {
    place = free_places().back();
    free_places().pop_back();
  } else {
    place = places_in_use_below.load(std::memory_order_relaxed);
    if (place == kPlaces) {
      ::munmap(data, length);
      return base::fail(base::ErrorCode::ResourceExhausted, "too many mapped files");
    }
    places_in_use_below.store(place + 1, std::memory_order_release);
  }
  places[place].lost_pages.store(0);
  for (auto& page : places[place].known) page.store(0);
  const auto begin = reinterpret_cast<std::uintptr_t>(data);
  places[place].begin.store(begin, std::memory_order_release);
  places[place].end.store(begin + length, std::memory_order_release);
  MappedRegion region;
  region.data_ = static_cast<std::uint8_t*>(data);
  region.length_ = length;
  region.place_ = place;
  return region;
}

bool MappedRegion::has_lost(std::size_t offset, std::size_t length) const {
  if (data_ == nullptr || length == 0) return false;
  // What was read before is read no later than this.
  std::atomic_thread_fence(std::memory_order_acquire);
  const Place& place = places[place_];
  const std::uint32_t count = place.lost_pages.load(std::memory_order_acquire);
  if (count == 0) return false;
  if (count > kKnownPages) return true;
  const std::size_t first = offset / page_size;
  const std::size_t last = (offset + length - 1) / page_size;
  return std::ranges::any_of(place.known, [&](const std::atomic<std::uint32_t>& known) {
    const std::size_t page = known.load(std::memory_order_acquire);
    return page > first && page <= last + 1;
  });
}

MappedRegion::MappedRegion(MappedRegion&& other) noexcept {
  *this = std::move(other);
}

MappedRegion& MappedRegion::operator=(MappedRegion&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(length_, other.length_);
  std::swap(place_, other.place_);
  return *this;
}

MappedRegion::~MappedRegion() {
  if (data_ == nullptr) return;
  const std::lock_guard lock(places_mutex);
  places[place_].end.store(0, std::memory_order_release);
  places[place_].begin.store(0, std::memory_order_release);
  free_places().push_back(place_);
  ::munmap(data_, length_);
}

}  // namespace larder::store
