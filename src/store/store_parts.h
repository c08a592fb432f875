// What a Store is made of. Inside the store only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "store/drive.h"
#include "store/index.h"
#include "store/open_table.h"
#include "store/store.h"

namespace larder::store {

struct Store::Parts {
  explicit Parts(std::size_t open_objects) : open_table(open_objects) {}
  ~Parts();

  // --- store_open.cc ---
  base::Status load();

  // --- store.cc, verify.cc ---
  base::Status store_slice(Object& object, std::uint32_t slice,
                           std::span<const std::uint8_t> bytes);
  // Makes a new generation visible; the one that it replaces is removed.
  void finish_create(const std::shared_ptr<Generation>& generation);
  // Forgets a slice whose bytes are wrong and frees them. Returns the DataLoss.
  base::Status drop_slice(Object& object, std::uint32_t slice);
  bool punch_slice(Object& object, std::uint32_t slice);

  // --- space.cc ---
  // The drive with the most free space that takes writes; null when there is none.
  Drive* choose_drive() const;
  // Reserves bytes, evicting from the drive if it must; never evicts `keep`.
  bool make_room(Drive& drive, std::uint64_t bytes, const Generation* keep);
  // Removes a generation from the index and, if it was there, from the journal.
  bool retire(Generation& generation);
  void record_removal(Generation& generation);
  // Undoes the creation of a generation that never reached the index.
  static void abandon(Generation& generation);
  // One pass of the background work.
  void maintain(Drive& drive, bool now_anyway);
  void compact(Drive& drive);
  void run(const std::stop_token& stop, Drive& drive);

  base::SystemClock system_clock;
  // Destroyed last to first: the threads, then the open objects, the index, the drives.
  std::vector<std::unique_ptr<Drive>> drives;
  std::array<std::uint8_t, 16> secret{};
  std::atomic<std::uint64_t> next_generation = 1;
  Index index;
  OpenTable open_table;
  std::vector<std::jthread> threads;
};

}  // namespace larder::store
