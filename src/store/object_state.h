// The changing part of an Object. Inside the store only.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "store/object.h"

namespace larder::store {

// One bit per slice, set and read by any thread.
class SliceBits {
 public:
  explicit SliceBits(std::uint32_t count) : words_((count + 63) / 64) {}
  bool test(std::uint32_t index) const {
    return (words_[index / 64].load(std::memory_order_acquire) >> (index % 64) & 1) != 0;
  }
  void set(std::uint32_t index) { words_[index / 64] |= 1ULL << (index % 64); }
  void clear(std::uint32_t index) { words_[index / 64] &= ~(1ULL << (index % 64)); }

 private:
  std::vector<std::atomic<std::uint64_t>> words_;
};

struct Object::State {
  State(std::uint32_t slices, std::shared_ptr<const std::string> first, std::uint64_t number)
      : stored(slices), verified(slices), metadata(std::move(first)), sequence(number) {}

  // A slice is written or dropped by one thread at a time: false when another has it.
  bool claim(std::uint32_t slice) {
    const std::lock_guard lock(mutex);
    if (is_claimed(slice)) return false;
    claimed.push_back(slice);
    return true;
  }
  // Waits while another thread has it.
  void claim_when_free(std::uint32_t slice) {
    std::unique_lock lock(mutex);
    unclaimed.wait(lock, [&] { return !is_claimed(slice); });
    claimed.push_back(slice);
  }
  void unclaim(std::uint32_t slice) {
    const std::lock_guard lock(mutex);
    std::erase(claimed, slice);
    unclaimed.notify_all();
  }

  SliceBits stored;
  SliceBits verified;
  std::atomic<std::uint64_t> revision = 0;  // counts the changes of metadata
  std::atomic<bool> was_used = false;       // the clock bit of the table of open objects
  std::atomic<std::uint16_t> last_use = 0;  // epoch; of those that the caller answered from memory

  mutable std::mutex mutex;  // guards the next two; never held during I/O
  std::shared_ptr<const std::string> metadata;
  std::vector<std::uint32_t> claimed;
  std::condition_variable unclaimed;

  std::mutex slots_mutex;  // serialises writers of the metadata slots, held during their I/O
  std::uint64_t sequence;  // guarded by slots_mutex

 private:
  bool is_claimed(std::uint32_t slice) const {
    return std::ranges::find(claimed, slice) != claimed.end();
  }
};

}  // namespace larder::store
