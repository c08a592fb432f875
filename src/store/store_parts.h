// What a Store is made of. Inside the store only.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "store/drive.h"
#include "store/index.h"
#include "store/keeper.h"
#include "store/open_table.h"
#include "store/orders.h"
#include "store/store.h"

namespace larder::store {

// The share of one group, with a hand per drive.
struct Quota {
  std::uint16_t group = 0;
  std::string name;
  std::uint64_t bytes = 0;
  std::vector<std::unique_ptr<Evictor>> evictors;  // by drive
  // The group's and all pinned costs when the upkeep of a drive found nothing more to evict: it
  // does not look through the index again before one of them changes.
  struct Exhausted {
    std::uint64_t group_cost = 0;
    std::uint64_t pinned_cost = 0;
    bool operator==(const Exhausted&) const = default;
  };
  std::vector<std::optional<Exhausted>> exhausted;  // by drive, each guarded by its upkeep_mutex
};
using Quotas = std::vector<std::shared_ptr<Quota>>;

struct Store::Parts {
  explicit Parts(StoreSettings store_settings)
      : settings(std::move(store_settings)), open_table(settings.open_objects) {}
  ~Parts();

  // --- store_open.cc ---
  base::Status open_drives();
  base::Status load();
  struct KeptOrders {
    OrderBook newest;
    std::vector<std::uint64_t> numbers;  // of each drive's own book; 0: it has none
    std::vector<bool> are_damaged;
    // Why what the drive holds is given up; empty: it is not.
    std::string_view why_outdated(std::size_t drive) const;
  };
  base::Result<KeptOrders> read_orders();
  void load_orders(KeptOrders kept);
  base::Result<Orders::Saved> save_orders(std::string_view file);
  void make_ready(Drive& drive);
  void start_threads();
  // Notes which drive it is that cannot be read, and passes the error on.
  base::Status unreadable(const Drive& drive, base::Error error);

  // --- store.cc, verify.cc ---
  std::shared_ptr<Object> find(const Key& key);
  base::Status verify(Object& object, std::uint32_t slice);
  // One attempt of create and write_slice each; `met_full`: the file system had no space, so
  // another attempt may find that something was evicted for it.
  base::Result<std::shared_ptr<Object>> create(const Key& key,
                                               std::span<const std::uint8_t> metadata,
                                               std::uint64_t length, std::string_view group,
                                               const Announcement& announce, bool& met_full);
  base::Status store_slice(Object& object, std::uint32_t slice, std::span<const std::uint8_t> bytes,
                           bool& met_full);
  // Forgets a generation because one of its slices cannot be read, and that it has the slice.
  void give_up(Object& object, std::uint32_t slice);
  // Forgets a slice whose bytes are wrong and frees them. Returns the DataLoss.
  base::Status drop_slice(Object& object, std::uint32_t slice);
  bool punch_slice(Object& object, std::uint32_t slice);

  // --- space.cc ---
  // The drive with the most free space that takes writes and could hold so much; null when there is
  // none.
  Drive* choose_drive(std::uint64_t length = 0) const;
  std::uint64_t largest_drive() const;
  // Reserves bytes for an object of the group, evicting if it must; never evicts generation `keep`.
  bool make_room(Drive& drive, std::uint64_t bytes, std::uint16_t group, std::uint64_t keep);
  bool make_room_in(const Quota& quota, Drive& drive, std::uint64_t bytes, std::uint64_t keep);
  // Tells who keeps objects only to be fast that removed ones are waited for.
  bool wait_for_space(Drive& drive);
  void ask_to_let_go();
  bool evict_one(Evictor& evictor, std::uint64_t keep, std::uint64_t& evicted);
  // Removes a generation from the index and, if it was there, from the journal.
  bool retire(const Generation& generation);
  static base::Status record_removal(Drive& drive, std::uint64_t generation);
  // Records what was taken out of the index and hands its space back.
  void finish_removal(Removed removed);
  // Undoes the creation of a generation that never reached the index.
  static void abandon(Generation& generation);
  // One pass of the background work.
  void maintain(Drive& drive, bool now_anyway);
  // Frees what groups have above their quotas, on this drive, a part at a time.
  void apply_quotas(Drive& drive);
  // Tells the drive's journal which of its generations were used.
  void record_uses(Drive& drive);
  void compact(Drive& drive);
  void run(const std::stop_token& stop, Drive& drive);
  std::shared_ptr<const Quotas> all_quotas() const;
  std::shared_ptr<Quota> quota_of(std::uint16_t group) const;

  // --- administration.cc ---
  std::string_view name_in(std::string_view metadata) const {
    return settings.name_of != nullptr ? settings.name_of(metadata) : std::string_view();
  }
  // The name of what may be no more. NotFound and DataLoss: it can never be read again.
  base::Result<std::string> read_name(Drive& drive, const Entry& entry);
  void set_pinned(Drive& drive, const Key& key, std::uint64_t id, bool is_pinned);
  // By the orders in force now, which the walk after an order applies to what is recorded.
  void apply_pins(const Object& object);
  bool is_purged(const Object& object) const;
  void drop_purged_objects();
  base::Status mark_purge(std::string_view prefix);
  // False when a removal that is in a journal may not be on its drive yet.
  bool sync_removals();
  // False when all removals are written down: no drive of the settings is missing or gone, and none
  // owes a record.
  bool has_forgetful_drives() const;

  const StoreSettings settings;
  base::SystemClock system_clock;
  const base::Clock& clock() const {
    return settings.clock != nullptr ? *settings.clock : system_clock;
  }
  std::int64_t steady_now() const {  // microseconds
    return std::chrono::duration_cast<std::chrono::microseconds>(
               clock().steady().time_since_epoch())
        .count();
  }
  // Destroyed last to first: the threads, then the open objects, the index, the drives.
  std::vector<std::unique_ptr<Drive>> drives;
  struct MissingDrive {
    DriveSettings settings;
    std::string reason;
  };
  std::vector<MissingDrive> missing_drives;
  std::optional<std::size_t> unreadable_drive;  // in the settings
  std::array<std::uint8_t, 16> secret{};
  std::atomic<std::uint64_t> next_generation = 1;
  // The number of a new generation, held until it is in the index or given up.
  class Creation {
   public:
    explicit Creation(Parts& parts);
    ~Creation();
    Creation(const Creation&) = delete;
    Creation& operator=(const Creation&) = delete;
    std::uint64_t id() const { return id_; }

   private:
    Parts& parts_;
    std::uint64_t id_ = 0;
  };
  // Of those that are being created; UINT64_MAX for none.
  std::uint64_t oldest_creation() const;
  mutable std::mutex creations_mutex;
  std::set<std::uint64_t> creations;  // guarded by creations_mutex
  Index index;
  std::unique_ptr<Orders> orders;
  mutable std::mutex quotas_mutex;
  std::shared_ptr<const Quotas> quotas = std::make_shared<Quotas>();  // guarded by quotas_mutex
  OpenTable open_table;
  std::mutex let_go_mutex;
  std::function<void()> let_go;            // guarded by let_go_mutex
  std::atomic<int> waiting_for_space = 0;  // threads
  Keeper keeper{*this};
  std::vector<std::jthread> threads;
};

}  // namespace larder::store
