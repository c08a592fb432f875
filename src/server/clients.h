// Who is connected: how many connections each client has, and what it may be sent. A client is an
// IPv4 address or the /64 of an IPv6 address, which is what one customer of a provider usually has.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "server/egress.h"

namespace larder::server {

struct ClientKey {
  std::uint64_t network = 0;
  bool ipv6 = false;

  bool operator==(const ClientKey&) const = default;
  // Nothing for a unix socket.
  static std::optional<ClientKey> of(const sockaddr_storage& address);
};

struct ClientEntry {
  std::size_t connections = 0;
  EgressClient egress;
};

// Thread-safe. Has one entry for each client that is connected, so connections bound it, and
// remembers a while what those who left have been sent: a new connection does not make up for a
// limit.
class Clients {
 public:
  static constexpr std::size_t kMostRemembered = 16'384;
  // By then even the bucket of a slow limit is full again.
  static constexpr std::chrono::seconds kRemembered{1};

  Clients();
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  // One connection's place; given back when it goes. The table outlives it.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept;
    Place& operator=(Place&&) = delete;
    ~Place();
    EgressClient* egress() const;  // null for a place without a client

   private:
    friend class Clients;
    Place(Clients& table, ClientKey key, ClientEntry& entry)
        : table_(&table), key_(key), entry_(&entry) {}
    Clients* table_ = nullptr;
    ClientKey key_;
    ClientEntry* entry_ = nullptr;
  };

  // Nothing when that client has `limit` connections already (0: no limit).
  std::optional<Place> enter(const ClientKey& key, std::size_t limit);
  std::size_t size() const;  // clients
  std::size_t remembered() const;

 private:
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const ClientKey& key) const;
  };
  struct Left {
    EgressHistory history;
    base::SteadyTime at;
  };
  void leave(const ClientKey& key);
  void remember(const ClientKey& key, const EgressHistory& history, base::SteadyTime now);

  mutable std::mutex mutex_;  // guards what follows
  std::unordered_map<ClientKey, ClientEntry, Hash> entries_;
  std::unordered_map<ClientKey, Left, Hash> left_;
  std::deque<std::pair<base::SteadyTime, ClientKey>> leaving_;  // in turn; some are back already
};

}  // namespace larder::server
