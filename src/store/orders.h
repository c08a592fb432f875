// Orders: what was said about objects by name rather than object by object: the names of their
// groups, what was purged, what is pinned. Kept as one small file on every drive (docs/formats.md),
// so that they hold for a drive that was away, too.
//
// A purge is a mark: objects older than it whose name begins so are not found from then on, however
// many there are, and are freed in the background; then the mark goes. A purged group keeps the
// number of its last purge for ever.
//
// A drive that is not there when a mark goes, or when a purge leaves none, does not hear of it. The
// book says from which number on a drive must have a copy of it; what an older one holds is given
// up.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "store/store.h"

namespace larder::store {

// What the file says. Plain data.
struct OrderBook {
  struct Group {
    std::string name;
    std::uint64_t purged_below = 0;  // generation
    friend bool operator==(const Group&, const Group&) = default;
  };
  struct Purge {
    // With a line end as its last character: the object of the name before it, and its parts.
    std::string prefix;
    std::uint64_t below = 0;  // generation
    friend bool operator==(const Purge&, const Purge&) = default;
  };

  std::uint64_t sequence = 0;   // of two books the one with the higher number counts
  std::vector<Group> groups{};  // group i + 1
  std::vector<Purge> purges{};
  std::vector<PinOrder> pins{};
  // A drive whose own book has a lower number has missed purges.
  std::uint64_t missed_below = 0;
  friend bool operator==(const OrderBook&, const OrderBook&) = default;
};
std::string encode_orders(const OrderBook& book);
// Nothing when the bytes are not whole, or of another version.
std::optional<OrderBook> parse_orders(std::string_view file);

// Thread-safe. Changes are on disk, or have failed, when a call returns.
class Orders {
 public:
  // `save` writes the encoded book to the drives that are there; an error means that none took it.
  enum class Saved { Everywhere, Somewhere };
  using Save = std::function<base::Result<Saved>(std::string_view)>;
  Orders(OrderBook book, Save save);

  // The number of a group, given out when it has none. 0, which is no group, when there are no
  // numbers left or the drives do not take it.
  std::uint16_t group(std::string_view name);
  std::optional<std::uint16_t> known_group(std::string_view name) const;
  std::string group_name(std::uint16_t group) const;
  OrderBook book() const;

  // A mark never goes down: of purges that come at once, the last one need not be the newest.
  base::Status purge_prefix(std::string_view prefix, std::uint64_t below);
  base::Status purge_group(std::uint16_t group, std::uint64_t below);
  // Forgets marks that have done their work on all drives that are there. False when they stay,
  // because a drive that is there cannot be told apart from one that is not.
  bool purges_done(const std::vector<OrderBook::Purge>& done);
  // From now on what drives that are not there hold has missed a purge. False: as above; the purge
  // has to leave a mark.
  bool outdate_absent_drives();
  bool has_purges() const { return has_purges_; }
  bool is_purged(std::string_view name, std::uint64_t generation) const;

  // AlreadyExists; NotFound.
  base::Status pin(const PinOrder& order);
  base::Status unpin(const PinOrder& order);
  bool is_pinned(std::string_view name) const;

 private:
  template <typename Change>
  base::Status change(Change&& change);
  bool find_present_drives();

  const Save save_;
  std::mutex changing_;  // held while a change is saved; nothing that is only asked waits for it
  mutable std::mutex mutex_;
  OrderBook book_;  // changed under both
  // Guarded by changing_.
  std::uint64_t on_all_present_ = 0;  // the newest number that all drives here took; 0: none yet
  bool is_absence_noted_ = false;     // drives that are not here are below missed_below
  std::atomic<bool> has_purges_ = false;
  std::atomic<bool> has_pins_ = false;
};

}  // namespace larder::store
