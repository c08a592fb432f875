// The keys under which a server seals TLS session tickets. They live in memory alone: a new process
// has new ones, and what is sealed under a key that is gone ends in a full handshake.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/clock.h"

namespace larder::net {

class TicketKeys {
 public:
  // New tickets get a new key after this time: whoever learns a key can read the resumed
  // connections of so long only.
  static constexpr std::chrono::hours kUsed{1};
  // How long a client may come back with a ticket.
  static constexpr std::chrono::hours kTicketLife{2};

  struct Key {
    std::array<std::uint8_t, 16> name{};  // stands in the ticket
    std::array<std::uint8_t, 32> cipher{};
    std::array<std::uint8_t, 32> mac{};
    base::SteadyTime made;
    Key() = default;
    Key(const Key&) = delete;
    Key& operator=(const Key&) = delete;
    ~Key();  // leaves nothing in memory
  };

  // Thread-safe; shared by all loops and by the contexts that follow each other. The time is passed
  // in.
  std::shared_ptr<const Key> current(base::SteadyTime now);
  // Null when it is unknown or too old.
  std::shared_ptr<const Key> find(std::span<const std::uint8_t> name, base::SteadyTime now);
  std::size_t size() const;

 private:
  void drop_old(base::SteadyTime now);

  mutable std::mutex mutex_;                      // guards keys_
  std::vector<std::shared_ptr<const Key>> keys_;  // the latest first; at most four
};

}  // namespace larder::net
